"""The gateway between hospitals and the SuperLink: what passes, what does not, and how it starts and stops."""

import socket
import ssl
import subprocess
import threading
import time
from email.utils import parsedate_to_datetime

import pytest

from common.system.ports import free_port
from server.gateway.app import FLEET_ROUTES
from tests.server.gateway.certificates import Authority
from tests.server.gateway.door import FORBIDDEN, PULL, answer_on, command, gateway_for, head, upstream_with


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def _running(authority):
    with upstream_with(authority) as upstream:
        yield upstream


@pytest.fixture
def upstream(_running):
    _running.requests.clear()
    _running.status, _running.headers, _running.body, _running.torn = 200, {}, b"reply", False
    return _running


@pytest.fixture(scope="module")
def door(authority, _running, tmp_path_factory):
    with gateway_for(_running.port, authority, tmp_path_factory.mktemp("gateway") / "log", upstream_seconds=1) as door:
        yield door


@pytest.mark.parametrize("route", FLEET_ROUTES)
def test_a_fleet_call_passes(door, upstream, route):
    body = bytes(range(256)) * 1000
    upstream.body = body[::-1]
    answer = door.call(route, body)
    assert (answer.status, answer.text) == (200, upstream.body)
    assert [(line, sent) for line, _, sent in upstream.requests] == [(f"POST {route} HTTP/1.1", body)]


def test_only_known_headers_pass(door, upstream):
    needed = {
        "content-type": "application/x-protobuf",
        "accept": "application/x-protobuf",
        "flwr-public-key": "a2V5",
        "flwr-signature": "c2ln",
        "flwr-timestamp": "2026-01-01T00:00:00",
        "flwr-package-name": "flwr",
        "flwr-package-version": "1.41.0",
        "flwr-component-name": "SuperNode",
    }
    others = {
        "x-forwarded-for": "10.0.0.1",
        "forwarded": "for=10.0.0.1",
        "x-forwarded-proto": "http",
        "x-original-url": "/v1/control/start-run",
        "x-http-method-override": "GET",
        "flwr-task-token": "t",
        "flwr-superexec-signature": "s",
        "cookie": "c=1",
        "authorization": "Basic eDp5",
        "te": "trailers",
        "accept-encoding": "gzip",
        "user-agent": "supernode",
    }
    upstream.headers = {
        "content-type": "application/x-protobuf",
        "flwr-version-incompatibility-message": "old",
        "set-cookie": "c=1",
        "x-internal": "1",
        "location": "https://127.0.0.1/",
    }
    answer = door.call(headers={**needed, **others})
    got = upstream.requests[0][1]
    ours = {
        "host": f"127.0.0.1:{upstream.port}",
        "connection": "keep-alive",
        "user-agent": "rarefed-gateway",
        "accept-encoding": "identity",
        "content-length": "1",
    }
    assert got == {**needed, **ours}
    assert {name.lower() for name, _ in answer.getheaders()} == {
        "content-type",
        "flwr-version-incompatibility-message",
        "content-length",
        "date",
    }
    assert abs(parsedate_to_datetime(answer.getheader("date")).timestamp() - time.time()) < 3


@pytest.mark.parametrize("target", FORBIDDEN)
def test_nothing_else_passes(door, upstream, target):
    answer = door.call(target)
    assert (answer.status, answer.text) == (404, b"refused\n")
    assert {name.lower() for name, _ in answer.getheaders()} == {"content-type", "content-length", "connection", "date"}
    assert not upstream.requests


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "CONNECT", "post"])
def test_other_methods_are_refused(door, upstream, method):
    assert door.call(method=method).status == 405
    assert not upstream.requests


def test_only_get_asks_for_health(door, upstream):
    assert door.call("/health").status == 405
    assert not upstream.requests


@pytest.mark.parametrize(
    "raw",
    [
        b"nonsense\r\n\r\n",
        b"POST /v1/fleet/pull-messages HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"POST /v1/fleet/pull-messages HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /v1/fleet/pull-messages HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n",
        b"POST /v1/fleet/pull-messages\x00 HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
)
def test_what_is_no_good_http_is_answered_400_with_a_date(door, upstream, raw):
    answer = door.send(raw)
    assert answer.status == 400
    assert answer.getheader("date")
    assert not upstream.requests


def test_a_hidden_second_request_does_not_pass(door, upstream):
    hidden = head("/v1/control/start-run", 0)
    both = {"transfer-encoding": "chunked"}
    door.send(head(PULL, len(hidden), headers=both), b"0\r\n\r\n" + hidden)
    door.send(head(PULL, 0), hidden)
    door.call(headers={"upgrade": "websocket", "connection": "upgrade"})
    assert {line for line, _, _ in upstream.requests} == {f"POST {PULL} HTTP/1.1"}


def test_health_is_that_of_the_upstream(door, upstream):
    answer = door.call("/health", b"", "GET")
    assert (answer.status, answer.text) == (200, b"ok\n")
    upstream.status = 500
    assert door.call("/health", b"", "GET").status == 503
    assert {line for line, _, _ in upstream.requests} == {"GET /health HTTP/1.1"}


@pytest.mark.parametrize("status", [302, 500, 501, 502, 503, 504])
def test_a_failing_upstream_is_answered_503(door, upstream, status):
    upstream.status, upstream.body = status, b"Traceback of the upstream"
    answer = door.call()
    assert (answer.status, answer.text) == (503, b"refused\n")
    assert answer.getheader("retry-after") == "5"
    assert answer.getheader("date")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409])
def test_a_refusal_by_the_upstream_passes(door, upstream, status):
    upstream.status, upstream.body = status, b'{"code": 2004}'
    answer = door.call()
    assert (answer.status, answer.text) == (status, upstream.body)


def test_an_answer_that_breaks_off_is_answered_503(door, upstream):
    upstream.torn = True
    assert door.call().status == 503


def test_a_silent_upstream_is_answered_503(door, upstream):
    upstream.go_on.clear()
    try:
        answer = door.call()
    finally:
        upstream.go_on.set()
    assert (answer.status, answer.getheader("retry-after")) == (503, "5")


def test_an_absent_upstream_is_answered_503(authority, tmp_path):
    port = free_port()
    with gateway_for(port, authority, tmp_path / "log") as door:
        assert [door.call().status, door.call("/health", b"", "GET").status] == [503, 503]


def test_an_upstream_with_another_ca_gets_nothing(authority, tmp_path):
    with (
        upstream_with(Authority(tmp_path / "stranger")) as stranger,
        gateway_for(stranger.port, authority, tmp_path / "log") as door,
    ):
        assert door.call().status == 503
        assert not stranger.requests


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
    assert f"error: cannot listen on 127.0.0.1 port {door.port}: Address already in use" in done.stderr


def test_calls_share_a_connection_and_none_waits_for_a_late_acknowledgement(door, upstream):
    took = []
    with door.connect() as sock:
        for _ in range(10):
            before = time.monotonic()
            sock.sendall(head(PULL, 1) + b"x")
            assert answer_on(sock).status == 200
            took.append(time.monotonic() - before)
    assert len(upstream.requests) == 10
    assert min(took) < 0.03


def test_an_idle_connection_is_kept_longer_than_a_supernode_keeps_it(door, upstream):
    with door.connect() as sock:
        for pause in (5.5, 0):
            sock.sendall(head(PULL, 1) + b"x")
            assert answer_on(sock).status == 200
            time.sleep(pause)
