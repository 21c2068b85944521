"""Whoever answers in the place of a hospital's server or proxy: he ends nothing, freezes nothing, and writes no codes.

A stranger in the path has a certificate of his own; a server that was taken over has the federation's.
"""

import time
from pathlib import Path

import pytest
from rich.console import Console

from client.cli.check import render_report
from client.daemon.daemon import Daemon
from client.daemon.server_contact import ServerContact
from client.preflight.connection import diagnose_connection
from client.preflight.findings import Finding, Report
from client.rules.hospital_file import HospitalFile
from tests.attacks.impostor import Act, for_ever, impostor, saying, shown
from tests.client.preflight.certificates import Authority
from tests.client.preflight.test_connection import hospital, only_fault
from tests.waiting import wait_for

CODES = "\x1b]0;owned\x07\x1b[2J"
HEAD = b"HTTP/1.1 200 OK\r\n"
# What each of the four connections of a diagnosis may take here.
SECONDS = 1.0
DRIP = for_ever(HEAD + b"x: ", b"a", 0.05)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.make()


def assert_tellable(findings: list[Finding], tmp_path: Path) -> None:
    for finding in findings:
        assert (finding.found + finding.mend).isprintable()
        assert len(finding.found) <= 2000
    console = Console(width=100, record=True, force_terminal=True, file=(tmp_path / "out").open("w"))
    console.print(render_report(Report("north", tuple(findings))))
    assert "owned\x07" not in (tmp_path / "out").read_text()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (b"\x14\x07Te\xe4t CA", ""),  # a T61String in Latin-1, as of proxies that inspect TLS
        (b"\x0c\x07\x1b[2J CA", "but by 'CN="),
    ],
)
def test_a_strangers_certificate_is_told_as_far_as_it_can_be_read(
    tmp_path: Path, authority: Authority, name: bytes, told: str
) -> None:
    context = shown(tmp_path, lambda der: der.replace(b"\x0c\x07Test CA", name))
    with impostor(saying(b""), context) as port:
        findings = diagnose_connection(hospital(tmp_path, authority, port), SECONDS)
    fault = only_fault(findings)
    assert "was not signed by this federation's CA" in fault.found
    assert told in fault.found
    assert_tellable(findings, tmp_path)


def test_names_of_a_certificate_are_told_without_their_codes(tmp_path: Path, authority: Authority) -> None:
    context = authority.server_context(tmp_path, f"evil{CODES}", also=("x" * 5000,))
    with impostor(saying(b""), context) as port:
        findings = diagnose_connection(hospital(tmp_path, authority, port), SECONDS)
    assert "is not for localhost, but for evil\\x1b]0;owned" in only_fault(findings).found
    assert len(only_fault(findings).found) < 400
    assert_tellable(findings, tmp_path)


@pytest.mark.parametrize(
    "headers",
    [
        "Date: Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
        "Date: Mon, 01 Jan 2026 00:00:00 +99999999999999999999",
        "Date: Fri, 31 Dec 9999 23:59:59 GMT",
        "Date: Mon, 99999999999999999999 Jan 2026 00:00:00 GMT",
        f"Date: {'9' * 10_000}",
        f"Date: {CODES}",
        "Date: ",
        f"Rarefed-Hospital: {CODES}{'x' * 9000}",
        f"Content-Type: multipart/mixed; boundary*{'9' * 5000}=x",
        f"Content-Length: {'9' * 5000}",
        f"Transfer-Encoding: {CODES}",
        f"x:{' ' * 15_000}\0",
        CODES,
    ],
)
def test_whatever_the_server_answers_is_judged(tmp_path: Path, authority: Authority, headers: str) -> None:
    answer = HEAD + headers.encode("latin-1") + b"\r\n\r\n"
    with impostor(saying(answer), authority.server_context(tmp_path)) as port:
        before = time.monotonic()
        findings = diagnose_connection(hospital(tmp_path, authority, port), 5)
    assert time.monotonic() - before < 2
    assert findings[-1].check in ("clock", "federation", "membership")
    assert_tellable(findings, tmp_path)


ENDLESS = {
    "a byte now and then": DRIP,
    "a line now and then": for_ever(HEAD, b"x: y\r\n", 0.05),
    "headers": for_ever(HEAD, b"x: y\r\n" * 1000),
    "one line": for_ever(HEAD + b"x: ", b"a" * 10_000),
    "other answers first": for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 400),
    "other answers now and then": for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.05),
}


@pytest.mark.parametrize("act", ENDLESS.values(), ids=ENDLESS)
def test_an_answer_without_end_is_given_up(tmp_path: Path, authority: Authority, act: Act) -> None:
    with impostor(act, authority.server_context(tmp_path)) as port:
        before = time.monotonic()
        fault = only_fault(diagnose_connection(hospital(tmp_path, authority, port), SECONDS))
    assert "does not answer GET /health" in fault.found
    assert time.monotonic() - before < 3 * SECONDS


@pytest.mark.parametrize("kind", ["a byte now and then", "headers", "other answers first"])
def test_a_proxys_answer_without_end_is_given_up(
    tmp_path: Path, authority: Authority, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with impostor(ENDLESS[kind]) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        before = time.monotonic()
        fault = only_fault(diagnose_connection(hospital(tmp_path, authority, 8443, "server.invalid"), SECONDS))
    assert fault.check == "server port"
    assert time.monotonic() - before < 3 * SECONDS


def test_what_a_proxy_asks_for_is_told_without_its_codes(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    asks = f"Proxy-Authenticate: {CODES}\r\nProxy-Authenticate: NTLM{CODES}\r\n" + "Proxy-Authenticate: x\r\n" * 90
    with impostor(saying(f"HTTP/1.1 407 {CODES}\r\n{asks}\r\n".encode())) as port:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
        findings = diagnose_connection(hospital(tmp_path, authority, 8443, "server.invalid"), SECONDS)
    assert "(407, NTLM, x, x, x, x)" in only_fault(findings).found
    assert_tellable(findings, tmp_path)


def test_a_handshake_without_end_is_given_up(tmp_path: Path, authority: Authority) -> None:
    # A record of TLS after the other, none of which is a ServerHello to its end.
    with impostor(for_ever(b"\x16\x03\x03\x40\x00\x02\x7f\xff\xff", b"a", 0.05)) as port:
        before = time.monotonic()
        fault = only_fault(diagnose_connection(hospital(tmp_path, authority, port), SECONDS))
    assert fault.check == "TLS"
    assert time.monotonic() - before < 3 * SECONDS


def test_the_daemon_does_not_wait_for_a_diagnosis(tmp_path: Path, authority: Authority) -> None:
    """Its loop, its health, its stop, and the reader of the SuperNode's output, while the server drips."""
    said: list[str] = []
    with impostor(DRIP, authority.server_context(tmp_path)) as port:
        contact = ServerContact(hospital(tmp_path, authority, port), said.append)
        before = time.monotonic()
        contact.update(supernode_runs=False, restarts=1)
        contact.read_line("[code: 2004] Failed to activate SuperNode")
        assert contact.supernode_works()  # what cannot be told from a server that is away
        contact.update(supernode_runs=False, restarts=2)
        assert time.monotonic() - before < 0.5
        time.sleep(0.5)
        assert contact._diagnosis._under_way.locked()
        assert said == []

    def told() -> list[str]:
        contact.update(supernode_runs=False, restarts=2)
        return said

    # Nobody answers any more: the diagnosis ends, and is told.
    assert "the server does not answer GET /health" in wait_for(told, "what was found", 15)[0]


def test_no_line_of_the_daemon_holds_codes(tmp_path: Path, authority: Authority) -> None:
    said: list[str] = []
    ours: HospitalFile = hospital(tmp_path, authority, 8443)
    Daemon(ours, said.append)._say(f"south{CODES}\nforged")
    assert said == ["south\\x1b]0;owned\\x07\\x1b[2J\\nforged"]
    assert said[0] in (ours.logs / "daemon.log").read_text()
