"""Whether a daemon uses a state folder, and the file in which it says how it is."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from client.rules.hospital_file import DAEMON_LOCK
from common.errors import RunError
from common.system.files import is_locked, try_lock, write_json_atomically

_STATUS = "daemon.json"
# `daemon_runs` of another command holds the lock for a moment.
_LOCK_SECONDS = 1.0


@contextlib.contextmanager
def only_daemon(state: Path) -> Iterator[None]:
    """Hold the lock of a state folder; raises `RunError` if another daemon holds it."""
    with (state / DAEMON_LOCK).open("ab") as stream:
        if not try_lock(stream, seconds=_LOCK_SECONDS):
            raise RunError(f"another daemon uses {state}: stop it first (rarefed-hospital status)")
        yield


def daemon_runs(state: Path) -> bool:
    """Say whether a daemon uses a state folder."""
    return is_locked(state / DAEMON_LOCK)


def write_status(state: Path, status: dict[str, Any]) -> None:
    """Write how the daemon is, if the disk takes it: a full one must not end the daemon."""
    with contextlib.suppress(OSError):
        write_json_atomically(state / _STATUS, status)


def read_status(state: Path) -> dict[str, Any]:
    """Return what the last daemon wrote; empty if there was none. Raises `RunError` if it cannot be read."""
    path = state / _STATUS
    try:
        return dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error
