"""One request: bodies that are too large or too slow, and answers that are taken too slowly."""

import time

import pytest

from tests.server.gateway.door import PULL, answer_on, refused


def test_a_large_body_is_refused_before_and_while_it_comes(gateway, upstream):
    with gateway(body_bytes=100_000) as door:
        assert door.call(body=b"a" * 100_000).status == 200
        # Said to be larger: nothing of it has to be sent.
        assert door.send(door.head(PULL, 100_001)).status == 413
        chunk = b"2710\r\n" + b"a" * 10_000 + b"\r\n"
        chunked = door.head(PULL, 0, headers={"transfer-encoding": "chunked"}).replace(b"content-length: 0\r\n", b"")
        assert door.send(chunked, chunk * 10 + b"0\r\n\r\n").status == 200
        # Without an end: the answer does not wait for one.
        answer = door.send(chunked, chunk * 11)
        assert (answer.status, answer.text) == (413, b"refused\n")
        assert door.call(body=b"a" * 1_000_000).status == 413
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("trickles", [True, False])
def test_a_slow_body_is_given_up(gateway, upstream, trickles):
    limit = {"transfer_seconds": 1, "silence_seconds": 9} if trickles else {"transfer_seconds": 9, "silence_seconds": 1}
    with gateway(requests_per_hospital=1, **limit) as door, door.connect() as sock:
        before = time.monotonic()
        sock.sendall(door.head(PULL, 10) + b"123")
        assert refused(answer_on(sock))
        assert time.monotonic() - before < 3
        assert door.call().status == 200


def test_a_slow_reader_is_given_up(gateway, upstream):
    upstream.body = bytes(32 * 2**20)
    with gateway(transfer_seconds=1, requests_per_hospital=1) as door, door.connect() as sock:
        sock.sendall(door.head(PULL, 1) + b"x")
        time.sleep(0.8)
        upstream.body = b"reply"
        assert refused(door.call())
        time.sleep(1)
        assert door.call().status == 200
        assert "answer taken too slowly" in door.log.read_text()
