"""A connection to the gateway: what is no HTTP, how long it lives, and how many there may be."""

import socket
import time
from contextlib import suppress

import pytest

from tests.server.gateway.door import ANOTHER, PULL, answer_on, head, refused
from tests.waiting import wait_for


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
    door.send(door.head(PULL, len(hidden), headers=both), b"0\r\n\r\n" + hidden)
    door.send(door.head(PULL, 0), hidden)
    door.call(headers={"upgrade": "websocket", "connection": "upgrade"})
    assert {line for line, _, _ in upstream.requests} == {f"POST {PULL} HTTP/1.1"}


def test_calls_share_a_connection_and_none_waits_for_a_late_acknowledgement(door, upstream):
    took = []
    with door.connect() as sock:
        for _ in range(10):
            before = time.monotonic()
            sock.sendall(door.head(PULL, 1) + b"x")
            assert answer_on(sock).status == 200
            took.append(time.monotonic() - before)
    assert len(upstream.requests) == 10
    assert min(took) < 0.03


def test_an_idle_connection_is_kept_longer_than_a_supernode_keeps_it(door, upstream):
    with door.connect() as sock:
        for pause in (5.5, 0):
            sock.sendall(door.head(PULL, 1) + b"x")
            assert answer_on(sock).status == 200
            time.sleep(pause)


@pytest.mark.parametrize("beginning", [b"", b"POST ", head(PULL, 1)[:-2]])
def test_a_connection_without_a_request_ends(gateway, beginning):
    with gateway(head_seconds=1) as door, door.connect() as sock:
        before = time.monotonic()
        sock.sendall(beginning)
        assert sock.recv(1) == b""
        assert 0.8 < time.monotonic() - before < 3


def test_a_trickling_head_ends_too(gateway):
    with gateway(head_seconds=1) as door, door.connect() as sock:
        sock.sendall(door.head(PULL, 1) + b"x")
        assert answer_on(sock).status == 200
        before = time.monotonic()
        with suppress(OSError):
            while time.monotonic() - before < 5:
                sock.sendall(b"\r")
                time.sleep(0.2)
        assert time.monotonic() - before < 4


def test_a_hospitals_connections_are_limited(gateway, upstream):
    with gateway(connections_per_hospital=1) as door, door.connect() as first:
        first.sendall(door.head(PULL, 1) + b"x")
        assert answer_on(first).status == 200
        assert refused(door.call())
        assert door.call(hospital="south").status == 200
        first.close()
        wait_for(lambda: door.call().status == 200, "the place to be free", 5)


@pytest.mark.parametrize("limits", [{"strangers_per_address": 2}, {"strangers": 2}])
def test_a_stranger_too_many_costs_his_address_its_oldest(gateway, upstream, limits):
    with gateway(**limits) as door, door.connect() as first, door.connect() as second, door.connect() as third:
        first.settimeout(5)
        with suppress(ConnectionResetError):
            assert first.recv(1) == b""
        # Another address throws out the greediest one's, not itself; and those that are left are served.
        assert door.call(source=ANOTHER).status == 200
        third.sendall(door.head(PULL, 1) + b"x")
        assert answer_on(third).status == 200
        second.close()
        assert "too many strangers" in door.log.read_text()


def test_handshakes_are_limited_by_address(gateway, upstream):
    with gateway(handshake_burst=2, handshake_rate=0.1) as door:
        assert [door.call().status for _ in range(2)] == [200, 200]
        with pytest.raises(OSError):
            door.call()
        assert door.call(source=ANOTHER).status == 200


@pytest.mark.parametrize("beginning", [b"", b"\x16", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_a_handshake_that_does_not_come_to_its_end_ends(gateway, beginning):
    with gateway(handshake_seconds=1) as door, socket.create_connection(("127.0.0.1", door.port), 5) as sock:
        before = time.monotonic()
        sock.sendall(beginning)
        with suppress(ConnectionResetError):
            assert sock.recv(1) == b""
        assert 0.8 < time.monotonic() - before < 3
