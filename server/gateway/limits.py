"""How much the gateway accepts per address and altogether, and the counters that enforce it."""

import ipaddress
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from common.errors import InputError
from server.gateway.refusal import RefusedError


@dataclass(frozen=True)
class Limits:
    """The gateway's limits; the defaults fit several hospitals with 100 MB models behind one address.

    Attributes
    ----------
    body_bytes : int
        The largest request body. Flower cuts arrays into objects of 5 MiB.
    rate, burst : float, int
        Requests per second and address over time, and at once. A round takes a few dozen requests, an idle node sends
        one in 3 s.
    requests, requests_per_address : int
        Requests in progress at a time. `requests` times `body_bytes` bounds the memory.
    connections, connections_per_address : int
        Open connections at a time; a SuperNode has up to six.
    addresses : int
        Addresses whose rate is remembered; the one that has been quiet longest is forgotten first.
    head_seconds : float
        How long a connection may stay without a whole request head, also between two requests: longer than the 5 s for
        which a SuperNode keeps it idle.
    transfer_seconds : float
        How long a body may take to arrive, and an answer to be taken.
    upstream_seconds : float
        How long the SuperLink may take; less than the 30 s that a SuperNode waits, so that it gets an answer.
    stop_seconds : int
        How long requests in progress may go on when the gateway stops; then they are answered 503, and tried again.
    """

    body_bytes: int = 8 * 2**20
    rate: float = 50.0
    burst: int = 500
    requests: int = 64
    requests_per_address: int = 16
    connections: int = 512
    connections_per_address: int = 64
    addresses: int = 4096
    head_seconds: float = 20.0
    transfer_seconds: float = 120.0
    upstream_seconds: float = 25.0
    stop_seconds: int = 10


def limits_with(settings: list[str]) -> Limits:
    """Return the limits with some of them set as `name=number`.

    Raises
    ------
    InputError
        If a name is unknown, or a value is not a number above zero.
    """
    kinds = {name: type(default) for name, default in asdict(Limits()).items()}
    values = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        try:
            values[name] = kinds[name](value)
            if not values[name] > 0:
                raise ValueError
        except (KeyError, ValueError):
            known = ", ".join(kinds)
            raise InputError(f"--limit {setting}: needs NAME=NUMBER above zero, NAME one of {known}") from None
    return Limits(**values)


def counted_as(host: str) -> str:
    """Return the name under which an address is counted: itself, or the /64 network of an IPv6 address.

    Whoever has one IPv6 address usually has 2^64 of them.
    """
    address = ipaddress.ip_address(host)
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address.packed, 64), strict=False))


class RateTable:
    """One token bucket per address, for a bounded number of addresses.

    Parameters
    ----------
    limits : Limits
        Its `rate`, `burst` and `addresses`.
    now : callable
        Returns the time in seconds, and never goes back.
    """

    def __init__(self, limits: Limits, now: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def admits(self, address: str) -> bool:
        """Count a request, and say whether its address may make it."""
        now = self._now()
        tokens, then = self._buckets.pop(address, (float(self._limits.burst), now))
        tokens = min(float(self._limits.burst), tokens + (now - then) * self._limits.rate)
        admitted = tokens >= 1
        # Put back at the end, so that the first of the table is the one that has been quiet longest.
        self._buckets[address] = (tokens - admitted, now)
        if len(self._buckets) > self._limits.addresses:
            del self._buckets[next(iter(self._buckets))]
        return admitted


class Places:
    """Counts the requests in progress, and refuses those beyond the limits per address and altogether."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, address: str) -> Iterator[None]:
        """Count a request as in progress within the block; raises `RefusedError` if there are too many."""
        if self._taken.total() >= self._limits.requests:
            raise RefusedError(503, "too many requests in hand")
        if self._taken[address] >= self._limits.requests_per_address:
            raise RefusedError(503, "too many requests in hand for one address")
        self._taken[address] += 1
        try:
            yield
        finally:
            self._taken[address] -= 1
            if not self._taken[address]:
                del self._taken[address]
