"""A log that an attacker cannot fill the disk with."""

import logging
import sys
import time
from collections.abc import Callable

_LINES_A_SECOND = 1
_LINES_AT_ONCE = 100


class Sparing(logging.Filter):
    """Lets through so many lines over time, and says how many it kept back before.

    Parameters
    ----------
    now : callable
        The clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._tokens = float(_LINES_AT_ONCE)
        self._then = now()
        self._kept_back = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the line is written."""
        now = self._now()
        self._tokens = min(float(_LINES_AT_ONCE), self._tokens + (now - self._then) * _LINES_A_SECOND)
        self._then = now
        if self._tokens < 1:
            self._kept_back += 1
            return False
        self._tokens -= 1
        if self._kept_back:
            record.msg = f"{record.getMessage()} ({self._kept_back} lines left out before this one)"
            record.args = ()
            self._kept_back = 0
        return True


def log_sparingly() -> None:
    """Write what is worth a line, of the gateway and of the libraries under it, to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(Sparing())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
