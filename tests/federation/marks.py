"""Processes that can be told from all others by their environment: which of them are left after a command."""

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil

_MARK = "RAREFED_TEST"


def with_mark() -> dict[str, str]:
    """Return this process's environment with a mark that its children hand on to theirs."""
    return {**os.environ, _MARK: f"{os.getpid()}-{time.monotonic_ns()}"}


def marked(environment: Mapping[str, str]) -> list[psutil.Process]:
    """Return the living processes that were started with an environment, or by one that was."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(_MARK) == environment[_MARK] and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@contextlib.contextmanager
def leaving_nothing(cache: Path, patience: float = 0) -> Iterator[dict[str, str]]:
    """Give an environment whose processes must leave no process and no temporary file behind.

    Parameters
    ----------
    cache : Path
        For what rarefed caches.
    patience : float
        How many seconds after the block they may still be there.
    """
    # Short, since Ray's sockets go below it.
    temporary = Path(tempfile.mkdtemp(prefix="rf", dir="/tmp"))
    environment = {**with_mark(), "RAREFED_CACHE": str(cache), "TMPDIR": str(temporary)}
    yield environment

    def left() -> list[object]:
        # torch makes an empty folder of its own wherever it is imported.
        files = [path.name for path in temporary.iterdir() if not path.name.startswith("torchinductor")]
        return [*marked(environment), *files]

    deadline = time.monotonic() + patience
    while left() and time.monotonic() < deadline:
        time.sleep(0.2)
    assert left() == []
    shutil.rmtree(temporary)
