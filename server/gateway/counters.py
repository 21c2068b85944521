"""The counters that enforce the gateway's limits of rates and of requests in progress."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from server.gateway.limits import Limits
from server.gateway.refusal import RefusedError


class RateTable:
    """One token bucket per name, for a bounded number of names.

    Parameters
    ----------
    rate : float
        Tokens per second that a bucket gains.
    burst : float
        Tokens that a bucket holds at most, and at first.
    names : int
        Buckets that are kept; the one that has been quiet longest is forgotten first.
    now : callable
        Returns the time in seconds, and never goes back.
    """

    def __init__(self, rate: float, burst: float, names: int, now: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._names = names
        self._now = now
        self._buckets: dict[str, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def admits(self, name: str, cost: float = 1) -> bool:
        """Take `cost` tokens of a name's bucket if it holds as many, and say whether it did."""
        now = self._now()
        tokens, then = self._buckets.pop(name, (self._burst, now))
        tokens = min(self._burst, tokens + (now - then) * self._rate)
        admitted = tokens >= cost
        # Put back at the end, so that the first of the table is the one that has been quiet longest.
        self._buckets[name] = (tokens - cost if admitted else tokens, now)
        if len(self._buckets) > self._names:
            del self._buckets[next(iter(self._buckets))]
        return admitted


class Places:
    """Counts the hospitals' requests in progress, and refuses those beyond the limits.

    Parameters
    ----------
    limits : Limits
        Its `requests`, `requests_per_hospital` and `own_requests`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, hospital: str) -> Iterator[None]:
        """Count a request as in progress within the block; raises `RefusedError` if there are too many."""
        if self._taken[hospital] >= self._limits.requests_per_hospital:
            raise RefusedError(503, "too many requests in hand for one hospital")
        if self._taken.total() >= self._limits.requests and self._taken[hospital] >= self._limits.own_requests:
            raise RefusedError(503, "too many requests in hand")
        self._taken[hospital] += 1
        try:
            yield
        finally:
            self._taken[hospital] -= 1
            if not self._taken[hospital]:
                del self._taken[hospital]
