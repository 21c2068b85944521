"""How tests wait for what other processes do."""

import contextlib
import time
from collections.abc import Callable
from typing import Any

import psutil


def wait_for(condition: Callable[[], Any], what: str = "something", seconds: float = 60) -> Any:
    """Return the first true value of a condition; fail if there is none in time.

    Parameters
    ----------
    condition : callable
        Asked ten times per second.
    what : str
        For the message of the failure.
    seconds : float
        How long to wait.
    """
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(0.1)
    return value


def lives(process: psutil.Process | int) -> bool:
    """Say whether a process, or the one of a number, has not ended; one that nobody has waited for has."""
    with contextlib.suppress(psutil.NoSuchProcess):
        known = process if isinstance(process, psutil.Process) else psutil.Process(process)
        return bool(known.status() != psutil.STATUS_ZOMBIE)
    return False
