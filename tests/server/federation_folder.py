"""A provisioned server folder for tests, with certificates and keys, and the server as a process."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID

from common.system.ports import free_port
from server.flower.control_api import Control
from server.members.server_folder import ServerFolder
from tests.certificate_usage import CA_USAGE
from tests.waiting import wait_for

SERVER_COMMAND = [sys.executable, "-c", "from server.cli.main import main; main()"]
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "rarefed test CA")])


def make_folder(root: Path) -> ServerFolder:
    """Write what `rarefed-server provision` would, without a gateway, with a free port for the SuperLink."""
    folder = ServerFolder(root)
    for path in (folder.pki, folder.superlink, folder.hospitals):
        path.mkdir(parents=True)
    write_certificates(folder, timedelta(days=90))
    write_consortium(folder, superlink_port=free_port())
    return folder


def write_consortium(folder: ServerFolder, *, superlink_port: int, gateway: bool = False, port: int = 8443) -> None:
    folder.consortium.write_text(
        "name: rare\n"
        "server:\n"
        f"  host: localhost\n  listen: 127.0.0.1\n  port: {port}\n"
        f"  gateway: {str(gateway).lower()}\n  superlink_port: {superlink_port}\n"
        "hospitals:\n  - name: alpha\n"
    )


def write_certificates(folder: ServerFolder, valid: timedelta) -> None:
    """Write a new CA and the two certificates of the server, which end after `valid` (negative: before now)."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    end = datetime.now(UTC) + valid
    ca = _builder(_NAME, ca_key, datetime.now(UTC) + timedelta(days=90))
    ca = ca.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    ca = ca.add_extension(CA_USAGE, critical=True)
    folder.certificate("ca").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM))
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    for name in ("loopback", "gateway"):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        certificate = _builder(subject, key, end).add_extension(x509.SubjectAlternativeName(names), critical=False)
        certificate = certificate.add_extension(identifier, critical=False)
        folder.certificate(name).write_bytes(certificate.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM))
        folder.key(name).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _builder(subject: x509.Name, key: ec.EllipticCurvePrivateKey, end: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(_NAME)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(datetime.now(UTC), end) - timedelta(days=1))
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def new_public_key() -> str:
    """Return the OpenSSH text of a new node key."""
    public = ec.generate_private_key(ec.SECP384R1()).public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def write_hospital(folder: ServerFolder, name: str, **fields: Any) -> None:
    path = folder.hospitals / f"{name}.json"
    known = json.loads(path.read_text()) if path.exists() else {"name": name, "revoked_keys": [], "node_id": None}
    path.write_text(json.dumps(known | fields))


def read_hospital(folder: ServerFolder, name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder.hospitals / f"{name}.json").read_text())
    return record


@dataclass
class RunningServer:
    """`rarefed-server start` as a process.

    Attributes
    ----------
    folder : ServerFolder
        The server's.
    process : subprocess.Popen
        The supervisor.
    """

    folder: ServerFolder
    process: "subprocess.Popen[bytes]" = field(init=False)

    def start(self) -> None:
        output = (self.folder.root / "start.txt").open("wb")
        self.process = subprocess.Popen([*SERVER_COMMAND, "start", "--folder", str(self.folder.root)], stdout=output)
        output.close()
        self.wait_for_line("started: ")

    def output(self) -> str:
        return (self.folder.root / "start.txt").read_text()

    def wait_for_line(self, text: str, times: int = 1) -> None:
        def said() -> bool:
            assert self.process.poll() is None, self.output()
            return self.output().count(text) >= times

        wait_for(said)

    def program(self, name: str) -> dict[str, Any]:
        known: dict[str, Any] = json.loads(self.folder.status.read_text())["programs"][name]
        return known

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def control(self) -> Control:
        port = next(line for line in self.folder.consortium.read_text().splitlines() if "superlink_port" in line)
        return Control(f"127.0.0.1:{port.split()[-1]}", self.folder.certificate("ca"), self.folder.operator_secret)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(90)


@contextlib.contextmanager
def running_server(folder: ServerFolder) -> Iterator[RunningServer]:
    server = RunningServer(folder)
    try:
        server.start()
        yield server
    finally:
        if server.process.poll() is None:
            server.stop()


def run_command(*arguments: str | Path, seconds: float = 60) -> "subprocess.CompletedProcess[str]":
    """Run `rarefed-server` to its end."""
    command = [*SERVER_COMMAND, *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds, check=False)
