"""The lock of the federation that goes on: hospitals would train for two at a time, and for neither in time."""

from pathlib import Path
from typing import IO

from common.system.files import hold_lock

LOCK_VARIABLE = "RAREFED_RUN_LOCK"
"""Environment variable with the lock's file, for the process of a run: it takes the lock before it loads anything."""

_held: dict[Path, IO[str]] = {}


def take_run_lock(path: Path) -> bool:
    """Take the lock for this process, unless it has it; return False if another process does."""
    if path in _held:
        return True
    stream = hold_lock(path)
    if stream is None:
        return False
    _held[path] = stream
    return True


def release_run_lock(path: Path) -> None:
    """Release the lock, as the end of the process does."""
    if stream := _held.pop(path, None):
        stream.close()
