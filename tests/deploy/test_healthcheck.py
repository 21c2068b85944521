"""The server's health check in a container: what it makes of a gateway that answers, complains, or is not there."""

import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from server.members.server_folder import FOLDER_VARIABLE, ServerFolder
from tests.certificate_usage import CA_USAGE
from tests.deploy.guide import DEPLOY, ROOT


class Gateway(HTTPServer):
    """Answers every GET with `status`."""

    status = 200


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Gateway)
        self.send_response(self.server.status if self.path == "/health" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def folder(tmp_path: Path) -> ServerFolder:
    """A server's folder with a certificate that is its own CA."""
    folder = ServerFolder(tmp_path)
    folder.pki.mkdir()
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("federation.example.org")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(CA_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    for side in ("ca", "gateway"):
        folder.certificate(side).write_bytes(certificate.public_bytes(Encoding.PEM))
    folder.key("gateway").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder


@pytest.fixture
def gateway(folder: ServerFolder) -> Iterator[Gateway]:
    server = Gateway(("127.0.0.1", 0), Answer)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder.certificate("gateway"), folder.key("gateway"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    consortium = {
        "name": "test",
        "server": {"host": "federation.example.org", "port": server.server_port},
        "hospitals": [{"name": "north"}],
    }
    folder.consortium.write_text(yaml.safe_dump(consortium))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def check(folder: ServerFolder) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DEPLOY / "server" / "healthcheck.py")],
        env={FOLDER_VARIABLE: str(folder.root), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def test_a_gateway_that_answers_is_healthy(folder: ServerFolder, gateway: Gateway) -> None:
    done = check(folder)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_gateway_that_does_not_reach_the_superlink_is_not(folder: ServerFolder, gateway: Gateway) -> None:
    gateway.status = 503
    done = check(folder)
    assert done.returncode == 1
    assert done.stderr.startswith("unhealthy: ")
    assert "503" in done.stderr


def test_no_gateway_is_not_healthy(folder: ServerFolder, gateway: Gateway) -> None:
    gateway.shutdown()
    gateway.server_close()
    done = check(folder)
    assert done.returncode == 1
    assert done.stderr.startswith("unhealthy: ")
