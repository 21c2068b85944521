"""The gateway as a process: TLS, its options, its start and its end."""

import socket
import ssl
import subprocess
import threading
import time

import pytest

from tests.server.gateway.certificates import Authority
from tests.server.gateway.door import command, gateway_for


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(door):
    old = ssl.create_default_context(cafile=str(door.ca))
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", door.port)) as plain, pytest.raises((ssl.SSLError, OSError)):
        old.wrap_socket(plain, server_hostname="127.0.0.1")
    with door.connect() as sock:
        assert sock.version() in ("TLSv1.2", "TLSv1.3")


def test_client_certificates_can_be_asked_for(authority, upstream, tmp_path):
    clients, others = Authority(tmp_path / "clients"), Authority(tmp_path / "others")
    option = ("--ca-for-clients", str(clients.path))
    with gateway_for(upstream.port, authority, tmp_path / "log", *option) as door:
        assert door.call(identity=clients.issue("hospital")).status == 200
        for identity in (None, others.issue("hospital")):
            # In TLS 1.3 the refusal arrives after the client believes the handshake done: as an error, or as an end.
            with pytest.raises((OSError, ValueError)):
                door.call(identity=identity)
    assert len(upstream.requests) == 1


def test_a_client_certificate_whose_names_are_no_text_is_a_failed_handshake(authority, upstream, tmp_path):
    clients = Authority(tmp_path / "clients")
    identity = clients.issue("hospital", names=b"\x30\x05\x81\x03a@\xff")
    with gateway_for(
        upstream.port, authority, tmp_path / "log", "--ca-for-clients", str(clients.path), strangers=1
    ) as door:
        with pytest.raises((OSError, ValueError)):
            door.call(identity=identity)
        # Its place is free again: nobody has to go for the next.
        assert door.call(identity=clients.issue("hospital")).status == 200
    log = (tmp_path / "log").read_text()
    assert "never retrieved" not in log
    assert "too many strangers" not in log


def test_sigterm_ends_it_and_requests_in_hand_are_answered_503(authority, upstream, tmp_path):
    with gateway_for(upstream.port, authority, tmp_path / "log", stop_seconds=1) as door:
        upstream.go_on.clear()
        try:
            answers = []
            caller = threading.Thread(target=lambda: answers.append(door.call()))
            caller.start()
            while not upstream.requests:
                time.sleep(0.05)
            door.process.terminate()
            caller.join(10)
        finally:
            upstream.go_on.set()
        assert [answer.status for answer in answers] == [503]
        assert door.process.wait(5) == 0


def test_an_idle_gateway_stops_at_once(authority, tmp_path):
    with gateway_for(9, authority, tmp_path / "log") as door, door.connect():
        before = time.monotonic()
        door.process.terminate()
        assert door.process.wait(5) == 0
        assert time.monotonic() - before < 3
        assert not door.log.read_text()


def test_bad_input_is_one_line_and_exit_code_2(authority, tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    other_key = Authority(tmp_path / "other").issue("other")[1]
    cases = {
        ("--certificate", str(tmp_path / "absent.crt")): "absent.crt: cannot be read",
        ("--key", str(other_key)): "no certificate with its key",
        ("--upstream-ca", str(empty)): "holds no CA certificate",
        ("--ca-for-clients", str(empty)): "holds no CA certificate",
        ("--upstream", "http://127.0.0.1:9091"): "needs https://HOST:PORT",
        ("--upstream", "https://127.0.0.1:9091/v1"): "needs https://HOST:PORT",
        ("--listen", "192.0.2.1"): "cannot listen",
        ("--folder", str(tmp_path)): "has no registry of hospitals",
        ("--limit", "brust=3"): "NAME one of body_bytes",
        ("--limit", "burst=0"): "above zero",
    }
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen([*command(9, authority), *option], **pipes) for option in cases]
    for process, message in zip(started, cases.values(), strict=True):
        error = process.communicate(timeout=30)[1]
        assert (process.returncode, error.count("\n")) == (2, 1), error
        assert message in error


def test_a_taken_port_is_one_line_and_exit_code_2(authority, door):
    line = [*command(9, authority), "--port", str(door.port)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"error: cannot listen on 127.0.0.1 port {door.port}: Address already in use\n" == done.stderr
