"""A stranger on the line: whoever reaches the gateway's port, from several addresses, without an approved key."""

import contextlib
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import psutil
import pytest
from flwr.supercore.primitives.asymmetric import generate_key_pairs

from tests.server.gateway.certificates import Authority
from tests.server.gateway.door import PULL, Door, Upstream, gateway_for, head, upstream_with
from tests.server.gateway.members import signed_by
from tests.waiting import wait_for

STRANGERS = tuple(f"127.0.0.{i}" for i in range(2, 10))
MEGABYTE = 2**20
# What nobody notices: a call takes some 10 ms, on a machine that tests something else besides.
NOTICED_SECONDS = 3.0
# As many calls, each on a connection of its own, as a hospital makes in a minute.
CALLS = 20


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def upstream(authority: Authority) -> Iterator[Upstream]:
    with upstream_with(authority) as upstream:
        yield upstream


@pytest.fixture
def door(authority: Authority, upstream: Upstream, tmp_path) -> Iterator[Door]:
    """The gateway with its default limits, and room for this test's own sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 2**14), hard))
    with gateway_for(upstream.port, authority, tmp_path / "log") as door:
        assert door.call().status == 200
        yield door
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@dataclass
class Flood:
    """Connections that strangers hold open."""

    sockets: list[socket.socket] = field(default_factory=list)

    def open_now(self) -> int:
        """Count those that the gateway has not ended."""
        count = 0
        for sock in self.sockets:
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                try:
                    while sock.recv(2**14):
                        pass
                except (BlockingIOError, ValueError):  # nothing to read, or TLS that waits for more
                    count += 1
        return count


@contextlib.contextmanager
def flood(door: Door, count: int, begin: Callable[[str], socket.socket]) -> Iterator[Flood]:
    """Have strangers of several addresses begin something, as fast as one machine can."""
    held = Flood()
    try:
        for i in range(count):
            with contextlib.suppress(OSError):  # hung up on within it
                held.sockets.append(begin(STRANGERS[i % len(STRANGERS)]))
        yield held
    finally:
        for sock in held.sockets:
            sock.close()


def memory(door: Door) -> int:
    return psutil.Process(door.process.pid).memory_info().rss


def assert_nobody_notices(door: Door) -> None:
    """Have two hospitals, and a monitor, call again and again, each time on a connection of its own."""
    for i in range(CALLS):
        before = time.monotonic()
        assert door.call(hospital=("north", "south")[i % 2], body=bytes(10_000)).status == 200
        assert door.call("/health", b"", "GET", hospital=None, source="127.0.0.1").status == 200
        assert time.monotonic() - before < NOTICED_SECONDS


def plain(door: Door, source: str, *first: bytes) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", door.port), 5, (source, 0))
    for piece in first:
        sock.sendall(piece)
    return sock


def after_tls(door: Door, source: str, sent: bytes) -> socket.socket:
    sock = door.connect(source)
    sock.sendall(sent)
    return sock


@pytest.mark.slow
def test_3000_silent_connections_are_not_noticed_and_cost_no_memory(door: Door) -> None:
    before = memory(door)
    with flood(door, 3000, lambda source: plain(door, source)) as held:
        assert_nobody_notices(door)
        assert memory(door) < before + 20 * MEGABYTE
        # Counted while they are open, and cut after seconds.
        assert held.open_now() <= 256
        wait_for(lambda: held.open_now() == 0, "silent connections to be cut", 15)
    assert_nobody_notices(door)


@pytest.mark.slow
def test_handshakes_that_stop_half_way_are_not_noticed_and_bounded(door: Door) -> None:
    before = memory(door)
    # The beginning of a ClientHello: TLS is set up for it, and waits.
    with flood(door, 1000, lambda source: plain(door, source, b"\x16\x03\x01\x02\x00\x01\x00")) as held:
        assert_nobody_notices(door)
        # 256 strangers with 256 KiB and OpenSSL's own.
        assert memory(door) < before + 128 * MEGABYTE
        wait_for(lambda: held.open_now() == 0, "handshakes to be cut", 15)


@pytest.mark.parametrize("claims", ["nothing", "a key of its own", "a hospital's key"])
def test_75_half_sent_requests_shut_nobody_out(authority: Authority, door: Door, claims: str) -> None:
    north = authority.members.signature("north")
    headers = {
        "nothing": {},
        "a key of its own": signed_by(generate_key_pairs()[0]),
        "a hospital's key": north | {"flwr-signature": signed_by(generate_key_pairs()[0])["flwr-signature"]},
    }[claims]
    half = head(PULL, 1_000_000, headers=headers) + b"half"
    with flood(door, 75, lambda source: after_tls(door, source, half)) as held:
        assert_nobody_notices(door)
        # None of them is waited for.
        wait_for(lambda: held.open_now() == 0, "half-sent requests to be refused", 5)


@pytest.mark.parametrize("half", [head(PULL, 1)[:-2], b"POST ", b"", head("/health", 9, "GET") + b"half"])
def test_half_sent_heads_and_questions_for_health_shut_nobody_out(door: Door, half: bytes) -> None:
    with flood(door, 300, lambda source: after_tls(door, source, half)):
        assert_nobody_notices(door)


def test_a_header_line_of_blanks_stops_nobody(door: Door) -> None:
    """Which h11 alone would try with each division of its blanks, while nobody else is served."""
    head = b"GET /health HTTP/1.1\r\nhost: gateway\r\nx:" + b" " * 16_000 + b"\0\r\n\r\n"
    with flood(door, 8, door.connect) as held:
        for sock in held.sockets:
            sock.sendall(head)
        assert_nobody_notices(door)


def test_strangers_behind_a_hospitals_own_address_do_not_take_its_places(door: Door) -> None:
    half = head(PULL, 1_000_000) + b"half"
    held: list[socket.socket] = []
    for _ in range(75):
        with contextlib.suppress(OSError):
            held.append(after_tls(door, "127.0.0.1", half))
    assert_nobody_notices(door)
    for sock in held:
        sock.close()


def test_hospitals_that_send_half_take_their_own_places_only(door: Door) -> None:
    """Not a stranger, but the same attack by three hospitals with approved keys, against a fourth."""
    begun: list[socket.socket] = []
    for hospital in ("east", "west", "tiny", "south"):
        for _ in range(16):
            begun.append(after_tls(door, "127.0.0.1", door.head(PULL, 1_000_000, hospital=hospital) + b"half"))
    for _ in range(CALLS):
        assert door.call(hospital="north").status == 200
        assert door.call("/health", b"", "GET", hospital=None).status == 200
    assert door.call(hospital="east").status == 503
    for sock in begun:
        sock.close()


@pytest.mark.slow
def test_a_slow_line_brings_its_10_megabytes_through_a_flood(door: Door) -> None:
    """Two objects of 5 MiB side by side at 1 Mbit/s, while strangers do all of the above."""
    size, answers = 5 * MEGABYTE, []
    ended = threading.Event()

    def upload() -> None:
        with door.connect() as sock:
            sock.sendall(door.head(PULL, size))
            for _ in range(0, size, 2**14):
                sock.sendall(bytes(2**14))
                time.sleep(2**14 / (1_000_000 / 8 / 2))
            sock.settimeout(30)
            answers.append(sock.recv(12))

    def attack() -> None:
        while not ended.is_set():
            with flood(door, 500, lambda source: plain(door, source)):
                ended.wait(1)

    threads = [threading.Thread(target=upload) for _ in range(2)]
    attacker = threading.Thread(target=attack)
    for thread in (*threads, attacker):
        thread.start()
    for thread in threads:
        thread.join()
    ended.set()
    attacker.join()
    assert answers == [b"HTTP/1.1 200"] * 2
