"""Whatever keeps a hospital from its server is named, against real TLS servers."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import time
from typing import Any

import pytest

from client.enrolment import enroll
from client.preflight.certificates import check_ca_certificate
from client.preflight.connection import diagnose_connection
from client.preflight.findings import Finding, Status
from client.rules.hospital_file import HospitalFile
from tests.client.hospital import write_hospital
from tests.client.preflight.certificates import Authority

Serve = Callable[..., int]


class Gateway(ThreadingHTTPServer):
    daemon_threads = True
    status = 200
    seconds_off: float | None = 0.0
    known_as: str | None = "north"

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is what these tests are about."""


class Answer(BaseHTTPRequestHandler):
    server: Gateway

    def do_GET(self) -> None:
        self.send_response_only(self.server.status)
        if self.server.seconds_off is not None:
            self.send_header("Date", formatdate(time() + self.server.seconds_off, usegmt=True))
        if self.server.known_as is not None:
            self.send_header("Rarefed-Hospital", self.server.known_as)
        self.send_header("Content-Length", "0")
        self.end_headers()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.make()


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Gateway] = []

    def start(
        context: ssl.SSLContext | None,
        status: int = 200,
        seconds_off: float | None = 0.0,
        known_as: str | None = "north",
    ) -> int:
        server = Gateway(("127.0.0.1", 0), Answer)
        server.status, server.seconds_off, server.known_as = status, seconds_off, known_as
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        servers.append(server)
        return int(server.server_address[1])

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def hospital(folder: Path, authority: Authority, port: int, host: str = "localhost") -> HospitalFile:
    authority.write(folder / "ca.crt")
    hospital = write_hospital(folder, folder, server=f"{host}:{port}")
    enroll(hospital)
    return hospital


def diagnose(folder: Path, authority: Authority, port: int, host: str = "localhost") -> list[Finding]:
    return diagnose_connection(hospital(folder, authority, port, host), timeout=2)


def only_fault(findings: list[Finding], status: Status = Status.FAILED) -> Finding:
    (fault,) = [finding for finding in findings if finding.status != Status.PASSED]
    assert fault.status == status
    assert fault.mend
    return fault


def test_a_good_connection_passes(tmp_path: Path, authority: Authority, serve: Serve) -> None:
    findings = diagnose(tmp_path, authority, serve(authority.server_context(tmp_path)))
    assert {finding.status for finding in findings} == {Status.PASSED}
    assert [finding.check for finding in findings] == [
        "CA certificate",
        "server name",
        "server port",
        "TLS",
        "server certificate",
        "federation",
        "clock",
        "membership",
    ]


def test_a_server_of_another_ca(tmp_path: Path, authority: Authority, serve: Serve) -> None:
    fault = only_fault(diagnose(tmp_path, Authority.make(), serve(authority.server_context(tmp_path))))
    assert "was not signed by this federation's CA (ca.crt of the start kit)" in fault.found


def test_an_expired_certificate(tmp_path: Path, authority: Authority, serve: Serve) -> None:
    fault = only_fault(diagnose(tmp_path, authority, serve(authority.server_context(tmp_path, days=(-300, -3)))))
    assert fault.found.startswith("the server's certificate expired on 20")


def test_a_certificate_of_tomorrow(tmp_path: Path, authority: Authority, serve: Serve) -> None:
    fault = only_fault(diagnose(tmp_path, authority, serve(authority.server_context(tmp_path, days=(2, 9)))))
    assert "is good from" in fault.found
    assert "timedatectl" in fault.mend


def test_a_certificate_that_soon_expires(tmp_path: Path, authority: Authority, serve: Serve) -> None:
    findings = diagnose(tmp_path, authority, serve(authority.server_context(tmp_path, days=(-1, 12.5))))
    assert "in 12 days" in only_fault(findings, Status.WARN).found


def test_a_certificate_for_another_name(tmp_path: Path, authority: Authority, serve: Serve) -> None:
    fault = only_fault(diagnose(tmp_path, authority, serve(authority.server_context(tmp_path, "fl.example"))))
    assert fault.found == "the server's certificate is not for localhost, but for fl.example"


def test_a_certificate_without_the_address(tmp_path: Path, authority: Authority, serve: Serve) -> None:
    port = serve(authority.server_context(tmp_path))
    fault = only_fault(diagnose(tmp_path, authority, port, "127.0.0.1"))
    assert "is not for 127.0.0.1, but for localhost" in fault.found


@pytest.mark.parametrize(("seconds", "direction"), [(600, "behind"), (-600, "ahead of"), (-8, "ahead of")])
def test_a_clock_that_flower_refuses(
    tmp_path: Path, authority: Authority, serve: Serve, seconds: int, direction: str
) -> None:
    port = serve(authority.server_context(tmp_path), seconds_off=seconds)
    fault = only_fault(diagnose(tmp_path, authority, port))
    assert f"s {direction} the server's" in fault.found
    assert "timedatectl set-ntp true" in fault.mend


@pytest.mark.parametrize("seconds", [60, None])
def test_a_clock_to_look_at(tmp_path: Path, authority: Authority, serve: Serve, seconds: float | None) -> None:
    port = serve(authority.server_context(tmp_path), seconds_off=seconds)
    assert only_fault(diagnose(tmp_path, authority, port), Status.WARN).check == "clock"


def test_a_federation_that_does_not_run(tmp_path: Path, authority: Authority, serve: Serve) -> None:
    port = serve(authority.server_context(tmp_path), status=503)
    assert "does not run" in only_fault(diagnose(tmp_path, authority, port), Status.WARN).found


def test_a_key_that_was_revoked(tmp_path: Path, authority: Authority, serve: Serve) -> None:
    port = serve(authority.server_context(tmp_path), known_as="-")
    fault = only_fault(diagnose(tmp_path, authority, port))
    assert fault.found == "the server does not know this hospital's key"
    assert "revoked" in fault.mend


def test_a_key_of_another_hospital(tmp_path: Path, authority: Authority, serve: Serve) -> None:
    fault = only_fault(diagnose(tmp_path, authority, serve(authority.server_context(tmp_path), known_as="south")))
    assert fault.found == "the server knows this hospital's key as that of 'south'"


def test_a_gateway_that_does_not_say_whose_key_it_is(tmp_path: Path, authority: Authority, serve: Serve) -> None:
    findings = diagnose(tmp_path, authority, serve(authority.server_context(tmp_path), known_as=None))
    assert [finding.check for finding in findings][-1] == "clock"


@pytest.mark.parametrize("content", [None, "damaged"])
def test_without_a_key_nothing_is_said_of_it(
    tmp_path: Path, authority: Authority, serve: Serve, content: str | None
) -> None:
    asking = hospital(tmp_path, authority, serve(authority.server_context(tmp_path)))
    asking.node_key.unlink()
    if content:
        asking.node_key.write_text(content)
    assert [finding.check for finding in diagnose_connection(asking, timeout=2)][-1] == "clock"


def test_another_web_server(tmp_path: Path, authority: Authority, serve: Serve) -> None:
    port = serve(authority.server_context(tmp_path), status=404)
    assert "404" in only_fault(diagnose(tmp_path, authority, port)).found


def test_a_server_without_tls(tmp_path: Path, authority: Authority, serve: Serve) -> None:
    assert "speaks no TLS" in only_fault(diagnose(tmp_path, authority, serve(None))).found


def test_a_port_that_refuses(tmp_path: Path, authority: Authority) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        fault = only_fault(diagnose(tmp_path, authority, unused.getsockname()[1]))
    assert "refuses connections" in fault.found


def test_a_silent_server(tmp_path: Path, authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        findings = diagnose_connection(hospital(tmp_path, authority, silent.getsockname()[1]), timeout=0.3)
    assert "completes no TLS handshake within 0.3 s" in only_fault(findings).found


def test_a_name_without_address(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    fault = only_fault(diagnose(tmp_path, authority, 8443, "fl.invalid"))
    assert fault.found == "fl.invalid has no address (Name or service not known)"


def test_a_resolver_that_hangs(tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(5) and [])
    findings = diagnose_connection(hospital(tmp_path, authority, 8443), timeout=0.2)
    released.set()
    assert "no answer to a look-up of localhost" in only_fault(findings).found


@pytest.mark.parametrize(
    ("content", "words"), [(None, "cannot be read (No such file"), (b"hello", "is no certificate in PEM format")]
)
def test_a_ca_that_is_none(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "ca.crt").write_bytes(content)
    finding = check_ca_certificate(write_hospital(tmp_path, tmp_path))
    assert (finding.status, words in finding.found) == (Status.FAILED, True)


def test_a_ca_that_expires(tmp_path: Path) -> None:
    for days, status in (((-400, -2), Status.FAILED), ((-400, 20), Status.WARN)):
        Authority.make(days).write(tmp_path / "ca.crt")
        finding = check_ca_certificate(write_hospital(tmp_path, tmp_path))
        assert finding.status == status
        assert finding.found.startswith("the federation's CA certificate expire")
