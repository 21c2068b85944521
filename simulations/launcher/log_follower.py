"""Reads the log of a run while it is written."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from server.runs.run_naming import unfinished

_LOG = "run.log"


class LogFollower:
    """Reads the lines that a run adds to its log, also while its folder takes its final name.

    Parameters
    ----------
    run : Path
        Final name of the run folder.
    """

    def __init__(self, run: Path) -> None:
        self._path = unfinished(run) / _LOG
        self._stream: IO[str] | None = None
        # The lines of an interrupted run have been shown before.
        self._start = self._path.stat().st_size if self._path.is_file() else 0

    def new_lines(self) -> Iterator[str]:
        """Yield the whole lines that were written since the last call."""
        if self._stream is None:
            if not self._path.is_file():
                return
            self._stream = self._path.open()
            self._stream.seek(self._start)
        while True:
            start = self._stream.tell()
            line = self._stream.readline()
            if not line.endswith("\n"):
                self._stream.seek(start)
                return
            yield line.rstrip("\n")
