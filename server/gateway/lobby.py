"""Who stands at the gateway: strangers, counted by address, and hospitals, counted by name."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from server.gateway.limits import Limits
from server.gateway.refusal import RefusedError


@dataclass(eq=False)
class Visit:
    """One connection, from the moment that it is accepted.

    Attributes
    ----------
    address : str
        The name under which the caller is counted and logged.
    hang_up : callable
        Ends the connection at once.
    hospital : str or None
        The hospital that signed a request on it; None: a stranger.
    ended : bool
        Whether it is counted no longer.
    """

    address: str
    hang_up: Callable[[], None]
    hospital: str | None = None
    ended: bool = False


class Lobby:
    """Bounds the strangers' connections, and each hospital's.

    A stranger too many is let in all the same, and the address with most strangers loses its oldest. So whoever floods
    from few addresses throws out himself, and a hospital that signs its first request within a second comes through.

    Parameters
    ----------
    limits : Limits
        Its `strangers`, `strangers_per_address` and `connections_per_hospital`.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        # By address; the oldest first.
        self._strangers: dict[str, dict[Visit, None]] = {}
        self._count = 0
        self._hospitals: Counter[str] = Counter()

    @property
    def strangers(self) -> int:
        """The number of strangers' connections."""
        return self._count

    def enter(self, visit: Visit) -> bool:
        """Count a new connection, as a stranger's; return whether another had to go for it."""
        self._strangers.setdefault(visit.address, {})[visit] = None
        self._count += 1
        crowded = len(self._strangers[visit.address]) > self._limits.strangers_per_address
        if not crowded and self._count <= self._limits.strangers:
            return False
        address = visit.address if crowded else max(self._strangers, key=lambda each: len(self._strangers[each]))
        oldest = next(iter(self._strangers[address]))
        self.leave(oldest)
        oldest.hang_up()
        return True

    def admit(self, visit: Visit, hospital: str) -> None:
        """Count a connection as a hospital's from now on; raises `RefusedError` if the hospital has too many."""
        if visit.ended:  # its last request was read before it ended
            raise RefusedError(503, "caller hung up")
        if visit.hospital == hospital:
            return
        if self._hospitals[hospital] >= self._limits.connections_per_hospital:
            raise RefusedError(503, "too many connections of one hospital")
        self._forget(visit)
        visit.hospital = hospital
        self._hospitals[hospital] += 1

    def leave(self, visit: Visit) -> None:
        """Count a connection no longer, if it is counted."""
        self._forget(visit)
        visit.ended = True

    def _forget(self, visit: Visit) -> None:
        if visit.hospital is not None:
            self._hospitals[visit.hospital] -= 1
            visit.hospital = None
        elif visit in self._strangers.get(visit.address, {}):
            del self._strangers[visit.address][visit]
            self._count -= 1
            if not self._strangers[visit.address]:
                del self._strangers[visit.address]
