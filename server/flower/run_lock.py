"""The lock of the federation that goes on: hospitals would train for two at a time, and for neither in time."""

import os
from pathlib import Path
from typing import IO

from common.system.files import try_lock

LOCK_VARIABLE = "RAREFED_RUN_LOCK"
"""Environment variable with the lock's file, for the process of a run: it takes the lock before it loads anything."""

# Whoever asks whether it is held holds it for a moment.
_SECONDS = 1.0

_held: dict[Path, IO[str]] = {}


def take_run_lock(path: Path) -> bool:
    """Take the lock for this process, unless it has it; return False if another process does."""
    if path in _held:
        return True
    stream = path.open("a")
    os.fchmod(stream.fileno(), 0o600)  # whoever may open it may hold its lock
    if not try_lock(stream, seconds=_SECONDS):
        stream.close()
        return False
    _held[path] = stream
    return True


def release_run_lock(path: Path) -> None:
    """Release the lock, as the end of the process does."""
    if stream := _held.pop(path, None):
        stream.close()
