"""A hospital that calls its server through a forward proxy: the same line is tested that the SuperNode takes."""

import socket
import threading
from pathlib import Path

import pytest

from client.daemon.programs import runner_program, supernode_program
from client.daemon.server_contact import ServerContact
from client.enrolment import enroll
from client.preflight.connection import diagnose_connection
from client.preflight.findings import Finding, Status
from client.rules.hospital_file import HospitalFile
from tests.client.hospital import write_hospital
from tests.client.preflight.certificates import Authority
from tests.client.preflight.forward_proxy import ForwardProxy
from tests.client.preflight.test_connection import Serve, authority, only_fault, serve

__all__ = ["authority", "serve"]

# No machine of a hospital can look it up; the proxy does.
HOST = "server.invalid"
DEAD = "http://127.0.0.1:9"


def diagnose(folder: Path, authority: Authority) -> list[Finding]:
    return diagnose_connection(hospital(folder, authority), timeout=2)


def hospital(folder: Path, authority: Authority) -> HospitalFile:
    authority.write(folder / "ca.crt")
    written = write_hospital(folder, folder, server=f"{HOST}:8443")
    enroll(written)
    return written


def test_the_server_is_reached_through_the_proxy(
    tmp_path: Path, authority: Authority, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", DEAD)
    with ForwardProxy(serve(authority.server_context(tmp_path, HOST))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("//", "//anna:secret@"))
        findings = diagnose(tmp_path, authority)
    assert {finding.status for finding in findings} == {Status.PASSED}
    assert findings[0].found == (
        f"the environment says http_proxy={DEAD}, HTTPS_PROXY={proxy.url.replace('//', '//***@')}; "
        f"the proxy in HTTPS_PROXY leads to {HOST}:8443"
    )
    assert set(proxy.asked) == {f"{HOST}:8443"}
    assert set(proxy.logins) == {"Basic YW5uYTpzZWNyZXQ="}
    assert "secret" not in str(findings)


def test_tls_inspection_is_refused_and_named(
    tmp_path: Path, authority: Authority, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ForwardProxy(serve(Authority.make().server_context(tmp_path, HOST))) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url)
        fault = only_fault(diagnose(tmp_path, authority))
    assert "was not signed by this federation's CA (ca.crt of the start kit), but by 'CN=Test CA'" in fault.found
    assert f"the proxy 127.0.0.1 inspects TLS, which is refused: have {HOST}:8443 exempted there" in fault.mend


@pytest.mark.parametrize(
    ("status", "asks_for", "user", "found", "mend"),
    [
        (403, "", "", "refuses a tunnel to it (403)", f"allow CONNECT to {HOST}:8443"),
        (405, "", "", "makes no tunnels (CONNECT) (405)", "allow CONNECT"),
        (502, "", "", "cannot reach it (502)", "allow CONNECT"),
        (418, "", "", "refuses (418)", "allow CONNECT"),
        (407, 'Basic realm="x"', "", "asks for a user and password (407, Basic)", "http://user:password@host:port"),
        (407, 'Basic realm="x"', "anna:secret@", "(407, Basic)", "those in https_proxy were refused"),
        (407, "NTLM", "anna:secret@", "(407, NTLM)", "exemption of this machine"),
    ],
)
def test_what_a_proxy_refuses_is_said(
    status: int,
    asks_for: str,
    user: str,
    found: str,
    mend: str,
    tmp_path: Path,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ForwardProxy(9, status, asks_for) as proxy:
        monkeypatch.setenv("https_proxy", proxy.url.replace("//", f"//{user}"))
        fault = only_fault(diagnose(tmp_path, authority))
    assert fault.check == "server port"
    assert found in fault.found
    assert mend in fault.mend
    assert "secret" not in str(fault)


@pytest.mark.parametrize(
    ("variable", "url", "found", "mend"),
    [
        ("https_proxy", DEAD, "port 9 of the proxy 127.0.0.1 refuses connections", "check https_proxy"),
        ("all_proxy", "socks5://127.0.0.1:1080", "it is no HTTP proxy (socks5)", "no_proxy"),
        ("https_proxy", "https://127.0.0.1:9", "it is no HTTP proxy (https)", "https_proxy=http://host:port"),
        ("https_proxy", "http://proxy:port", "but it is no address", "https_proxy=http://host:port"),
        ("https_proxy", "http://proxy.invalid:3128", "proxy.invalid has no address", "the proxy in https_proxy"),
    ],
)
def test_a_proxy_that_cannot_be_used_is_named(
    variable: str,
    url: str,
    found: str,
    mend: str,
    tmp_path: Path,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, url)
    fault = only_fault(diagnose(tmp_path, authority))
    assert found in fault.found
    assert mend in fault.mend


def test_what_is_no_proxy_is_told_from_one(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    def greet(listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")
                connection.recv(1000)

    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=greet, args=(listener,), daemon=True).start()
    monkeypatch.setenv("https_proxy", f"127.0.0.1:{listener.getsockname()[1]}")
    fault = only_fault(diagnose(tmp_path, authority))
    assert "does not answer as an HTTP proxy does" in fault.found


def test_a_server_that_is_excepted_is_called_directly(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", DEAD)
    monkeypatch.setenv("no_proxy", ".invalid")
    first, *_ = diagnose(tmp_path, authority)
    assert first.found.endswith(f"none of them is for {HOST}:8443, which is called directly")


def test_the_node_takes_the_tested_proxy_and_the_runner_none(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, f"{DEAD}/{variable}")
    local = hospital(tmp_path, authority)
    local.state.mkdir(exist_ok=True)
    contact = ServerContact(local, print)
    named = ("http_proxy", "https_proxy", "all_proxy")
    node, runner = supernode_program(local, contact).environment, runner_program(local, contact).environment
    assert {name: value for name, value in node.items() if name.lower() in named} == {
        "https_proxy": f"{DEAD}/HTTPS_PROXY"
    }
    assert not [name for name in runner if name.lower() in named]
    assert "127.0.0.1" in node["no_proxy"]
