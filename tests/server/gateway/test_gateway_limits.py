"""The gateway's limits: each holds against a caller who tries to go beyond it, and leaves others alone."""

import logging
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from common.errors import InputError
from server.gateway.limits import Limits, RateTable, counted_as, limits_with
from server.gateway.log import RateLimitedFilter
from tests.server.gateway.certificates import Authority
from tests.server.gateway.door import PULL, answer_on, gateway_for, head, upstream_with

ANOTHER = "127.0.0.2"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def upstream(authority):
    with upstream_with(authority) as upstream:
        yield upstream


@pytest.fixture
def gateway(authority, upstream, tmp_path):
    return lambda **limits: gateway_for(upstream.port, authority, tmp_path / "log", **limits)


@contextmanager
def a_call_in_hand(door, upstream):
    """Keep one call waiting for the upstream."""
    upstream.go_on.clear()
    caller = threading.Thread(target=door.call)
    caller.start()
    try:
        while not upstream.requests:
            time.sleep(0.05)
        yield
    finally:
        upstream.go_on.set()
        caller.join()


def refused(answer):
    return (answer.status, answer.getheader("retry-after"), answer.text) == (503, "5", b"refused\n")


def test_a_large_body_is_refused_before_and_while_it_comes(gateway, upstream):
    with gateway(body_bytes=100_000) as door:
        assert door.call(body=b"a" * 100_000).status == 200
        # Said to be larger: nothing of it has to be sent.
        assert door.send(head(PULL, 100_001)).status == 413
        chunk = b"2710\r\n" + b"a" * 10_000 + b"\r\n"
        chunked = head(PULL, 0, headers={"transfer-encoding": "chunked"}).replace(b"content-length: 0\r\n", b"")
        assert door.send(chunked, chunk * 10 + b"0\r\n\r\n").status == 200
        # Without an end: the answer does not wait for one.
        answer = door.send(chunked, chunk * 11)
        assert (answer.status, answer.text) == (413, b"refused\n")
        assert door.call(body=b"a" * 1_000_000).status == 413
    assert len(upstream.requests) == 2


def test_the_rate_is_limited_for_each_address(gateway, upstream):
    with gateway(burst=3, rate=0.5) as door:
        # Who says to come from elsewhere is counted all the same.
        answers = [door.call(headers={"x-forwarded-for": f"10.0.0.{i}"}) for i in range(4)]
        assert [answer.status for answer in answers[:3]] == [200, 200, 200]
        assert refused(answers[3])
        assert refused(door.call("/health", b"", "GET"))
        assert door.call(source=ANOTHER).status == 200
        time.sleep(2.1)
        assert door.call().status == 200


def test_requests_in_hand_are_limited_for_each_address(gateway, upstream):
    with gateway(requests_per_address=1) as door:
        with a_call_in_hand(door, upstream):
            assert refused(door.call())
            other = threading.Thread(target=door.call, kwargs={"source": ANOTHER})
            other.start()
            while len(upstream.requests) < 2:
                time.sleep(0.05)
        other.join()
        assert door.call().status == 200


def test_requests_in_hand_are_limited_altogether(gateway, upstream):
    with gateway(requests=1) as door:
        with a_call_in_hand(door, upstream):
            assert refused(door.call(source=ANOTHER))
        assert door.call(source=ANOTHER).status == 200


@pytest.mark.parametrize("beginning", [b"", b"POST ", head(PULL, 1)[:-2]])
def test_a_connection_without_a_request_ends(gateway, beginning):
    with gateway(head_seconds=1) as door, door.connect() as sock:
        before = time.monotonic()
        sock.sendall(beginning)
        assert sock.recv(1) == b""
        assert 0.8 < time.monotonic() - before < 3


def test_a_trickling_head_ends_too(gateway):
    with gateway(head_seconds=1) as door, door.connect() as sock:
        sock.sendall(head(PULL, 1) + b"x")
        assert answer_on(sock).status == 200
        before = time.monotonic()
        with suppress(OSError):
            while time.monotonic() - before < 5:
                sock.sendall(b"\r")
                time.sleep(0.2)
        assert time.monotonic() - before < 4


def test_a_slow_body_is_given_up(gateway, upstream):
    with gateway(transfer_seconds=1, requests=1) as door, door.connect() as sock:
        before = time.monotonic()
        sock.sendall(head(PULL, 10) + b"123")
        assert refused(answer_on(sock))
        assert time.monotonic() - before < 3
        assert door.call().status == 200


def test_a_slow_reader_is_given_up(gateway, upstream):
    upstream.body = bytes(32 * 2**20)
    with gateway(transfer_seconds=1, requests=1) as door, door.connect() as sock:
        sock.sendall(head(PULL, 1) + b"x")
        time.sleep(0.8)
        upstream.body = b"reply"
        assert refused(door.call())
        time.sleep(1)
        assert door.call().status == 200
        assert "answer taken too slowly" in door.log.read_text()


@pytest.mark.parametrize("limits", [{"connections_per_address": 2}, {"connections": 3}])
def test_connections_are_limited(gateway, limits):
    with gateway(**limits) as door, door.connect(), door.connect(), door.connect(source=ANOTHER):
        with door.connect() as late:
            assert late.recv(1) == b""
        assert "hung up: too many connections" in door.log.read_text()


def test_a_refusal_is_one_line_and_many_are_few(gateway):
    with gateway(burst=1000) as door:
        for _ in range(125):
            door.call("/v1/control/" + "a" * 500 + "%0a")
    lines = door.log.read_text().splitlines()
    assert lines[0].endswith(f"WARNING 127.0.0.1 POST b'/v1/control/{'a' * 68}': 404 no such route")
    assert 100 <= len(lines) < 120


def test_the_log_says_how_much_it_left_out():
    clock = [0.0]
    limited = RateLimitedFilter(lambda: clock[0])
    lines = [logging.makeLogRecord({"msg": "line %d", "args": (i,)}) for i in range(151)]
    assert [limited.filter(line) for line in lines[:150]] == [True] * 100 + [False] * 50
    clock[0] = 1.0
    assert limited.filter(lines[150])
    assert lines[150].getMessage() == "line 150 (50 lines left out before this one)"


def test_the_rate_table_is_bounded_and_forgets_who_was_quiet_longest():
    clock = [0.0]
    table = RateTable(Limits(burst=1, rate=1, addresses=2), lambda: clock[0])
    assert [table.admits(address) for address in "aab"] == [True, False, True]
    assert not table.admits("a")
    assert table.admits("c")
    assert len(table) == 2
    assert not table.admits("a")
    assert table.admits("b")
    clock[0] = 1.0
    assert [table.admits("b"), table.admits("b")] == [True, False]


def test_an_ipv6_network_counts_as_one_address():
    assert counted_as("2001:db8::1") == counted_as("2001:db8::ffff:2") != counted_as("2001:db8:0:1::1")
    assert counted_as("::ffff:192.0.2.1") == counted_as("192.0.2.1") != counted_as("192.0.2.2")


def test_limits_are_set_by_name():
    assert limits_with(["burst=7", "rate=0.5"]) == Limits(burst=7, rate=0.5)
    for wrong in ("burst", "burst=", "burst=0", "burst=0.5", "rate=nan", "rate=-1", "other=1"):
        with pytest.raises(InputError, match=wrong):
            limits_with([wrong])
