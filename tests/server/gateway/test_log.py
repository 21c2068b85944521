"""The gateway's log: one line per refusal, and not more than so many."""

import logging

from server.gateway.log import RateLimitedFilter


def test_a_refusal_is_one_line_and_many_are_few(gateway):
    with gateway(burst=1000) as door:
        for _ in range(125):
            door.call("/v1/control/" + "a" * 500 + "%0a")
    lines = door.log.read_text().splitlines()
    assert lines[0].endswith(f"WARNING 127.0.0.1 north POST b'/v1/control/{'a' * 68}': 404 no such route")
    assert 100 <= len(lines) < 120


def test_the_log_says_how_much_it_left_out():
    clock = [0.0]
    limited = RateLimitedFilter(lambda: clock[0])
    lines = [logging.makeLogRecord({"msg": "line %d", "args": (i,)}) for i in range(151)]
    assert [limited.filter(line) for line in lines[:150]] == [True] * 100 + [False] * 50
    clock[0] = 1.0
    assert limited.filter(lines[150])
    assert lines[150].getMessage() == "line 150 (50 lines left out before this one)"
