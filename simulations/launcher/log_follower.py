"""Reads the log of a run while it is written."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from server.runs.run_naming import unfinished

_LOG = "run.log"


class LogFollower:
    """Reads the lines that a run adds to its log, also after the run folder was renamed to its final name.

    Parameters
    ----------
    run : Path
        The run folder, by its final name.
    """

    def __init__(self, run: Path) -> None:
        self._path = unfinished(run) / _LOG
        self._stream: IO[str] | None = None
        # A resumed run's log begins with lines that were shown when it was interrupted.
        self._start = self._path.stat().st_size if self._path.is_file() else 0

    def new_lines(self) -> Iterator[str]:
        """Yield the complete lines that were written since the last call."""
        if self._stream is None:
            if not self._path.is_file():
                return
            self._stream = self._path.open(encoding="utf-8", errors="replace")
            self._stream.seek(self._start)
        while True:
            start = self._stream.tell()
            line = self._stream.readline()
            if not line.endswith("\n"):
                self._stream.seek(start)
                return
            yield line.rstrip("\n")
