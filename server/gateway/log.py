"""Limits the rate of the gateway's log, so that an attacker cannot fill the disk with it."""

import logging
import sys
import time
from collections.abc import Callable

_LINES_A_SECOND = 1
_LINES_AT_ONCE = 100


class RateLimitedFilter(logging.Filter):
    """Lets through one line per second after the first hundred, and adds how many it left out before.

    Parameters
    ----------
    now : callable
        Returns the time in seconds, and never goes back.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._now = now
        self._tokens = float(_LINES_AT_ONCE)
        self._then = now()
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether the line is written."""
        now = self._now()
        self._tokens = min(float(_LINES_AT_ONCE), self._tokens + (now - self._then) * _LINES_A_SECOND)
        self._then = now
        if self._tokens < 1:
            self._left_out += 1
            return False
        self._tokens -= 1
        if self._left_out:
            record.msg = f"{record.getMessage()} ({self._left_out} lines left out before this one)"
            record.args = ()
            self._left_out = 0
        return True


def limit_log_rate() -> None:
    """Write warnings and errors of the gateway and its libraries to standard error, at a limited rate."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(RateLimitedFilter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
