"""The limits by address and altogether: each holds against a caller who goes beyond it, and leaves others alone."""

import threading
import time

import pytest

from common.errors import InputError
from server.gateway.counters import RateTable
from server.gateway.limits import Limits, counted_as, limits_with
from tests.server.gateway.door import ANOTHER, PULL, a_call_in_hand, refused


def test_the_rate_is_limited_for_each_hospital(gateway, upstream):
    with gateway(burst=3, rate=0.5) as door:
        answers = [door.call() for _ in range(4)]
        assert [answer.status for answer in answers[:3]] == [200, 200, 200]
        assert refused(answers[3])
        # Another hospital behind the same address, and whoever has not signed, are counted by themselves.
        assert door.call(hospital="south").status == 200
        assert door.call("/health", b"", "GET", hospital=None).status == 200
        time.sleep(2.1)
        assert door.call().status == 200


def test_the_rate_of_strangers_is_limited_for_each_address(gateway, upstream):
    with gateway(burst=3, rate=0.5) as door:
        # Who says to come from elsewhere is counted all the same.
        answers = [door.call(hospital=None, headers={"x-forwarded-for": f"10.0.0.{i}"}) for i in range(4)]
        assert [answer.status for answer in answers[:3]] == [401, 401, 401]
        assert refused(answers[3])
        assert refused(door.call("/health", b"", "GET", hospital=None))
        assert door.call(source=ANOTHER, hospital=None).status == 401
        assert door.call().status == 200


def test_requests_in_hand_are_limited_for_each_hospital(gateway, upstream):
    with gateway(requests_per_hospital=1) as door:
        with a_call_in_hand(door, upstream):
            assert refused(door.call(source=ANOTHER))
            other = threading.Thread(target=door.call, kwargs={"hospital": "south"})
            other.start()
            while len(upstream.requests) < 2:
                time.sleep(0.05)
        other.join()
        assert door.call().status == 200


def test_requests_in_hand_are_limited_altogether_but_for_each_hospitals_own(gateway, upstream):
    with gateway(requests=1, own_requests=1) as door:
        with a_call_in_hand(door, upstream), a_call_in_hand(door, upstream, "south"):
            assert refused(door.call())
            upstream.go_on.set()
        assert door.call().status == 200


def test_bytes_are_limited_for_each_hospital_over_time(gateway, upstream):
    with gateway(bytes_per_hour=300_000) as door:
        assert [door.call(body=bytes(100_000)).status for _ in range(3)] == [200, 200, 200]
        # What is declared is refused before it comes; what is not, while it comes.
        assert refused(door.send(door.head(PULL, 100_000)))
        chunked = door.head(PULL, 0, headers={"transfer-encoding": "chunked"}).replace(b"content-length: 0\r\n", b"")
        assert refused(door.send(chunked, b"186a0\r\n" + bytes(100_000) + b"\r\n"))
        assert door.call(hospital="south", body=bytes(100_000)).status == 200


def test_the_rate_table_is_bounded_and_forgets_who_was_quiet_longest():
    clock = [0.0]
    table = RateTable(rate=1, burst=1, names=2, now=lambda: clock[0])
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
