"""A run's log for a person: what ended it in one line, without Python's tracebacks and Flower's exit codes."""

import re
from collections.abc import Iterable, Iterator

_TRACEBACK = "Traceback (most recent call last):"
_CHAINED = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
# What stands before a traceback and says no more than that one follows.
_HEADING = re.compile(r"ERROR\s*:\s+ServerApp raised an exception|Exception in thread ")
# Flower parts what it logs by lines without a message.
_EMPTY = re.compile(r"[A-Z]+\s*:\s*")
# Flower's number for how a process ended, with some lines of help for whoever wrote the app.
_EXIT_CODE = re.compile(r"ERROR\s*:\s+Exit Code: \d+")
_EXIT_CODE_END = "For more information, visit: <https://flower.ai/"
_EXIT_CODE_LINES = 10
# An error in words for people; the name of its class says nothing more.
_OWN = re.compile(r"common\.errors\.\w+: ")


def readable_lines(pieces: Iterable[str], where: str) -> Iterator[str]:
    """Yield the lines of a log with every traceback as one line.

    An error that the line before has told already is not repeated.

    Parameters
    ----------
    pieces : iterable of str
        The log in pieces of text, which may end anywhere.
    where : str
        Where the tracebacks stand; named beside those that may tell of a bug.
    """
    reader = _Reader(where)
    for line in _lines(pieces):
        yield from reader.read(line)
    yield from reader.explain()


class _Reader:
    """Where in a log the reader is, and what it holds back."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._shown = ""
        self._in_traceback = False
        self._ended_by: str | None = None  # the last line of a traceback, of which the next may be the consequence
        self._chained = False
        self._of_exit_code = 0  # lines of help that may still follow

    def read(self, line: str) -> Iterator[str]:
        """Take a line; yield what can be shown by now."""
        if self._in_traceback:
            if line and not line.startswith(" "):
                self._in_traceback, self._ended_by, self._chained = False, line, False
        elif self._of_exit_code:
            self._of_exit_code = 0 if line.startswith(_EXIT_CODE_END) else self._of_exit_code - 1
        elif line == _TRACEBACK:
            if not self._chained:
                yield from self.explain()
            self._in_traceback = True
        elif self._ended_by is not None and (not line or line in _CHAINED):
            self._chained |= line in _CHAINED
        else:
            yield from self.explain()
            if _EXIT_CODE.match(line):
                self._of_exit_code = _EXIT_CODE_LINES
            elif not _HEADING.match(line) and not _EMPTY.fullmatch(line):
                self._shown = line
                yield line

    def explain(self) -> Iterator[str]:
        """Yield one line for the traceback that was read last; none if the line before it has told all."""
        ended_by, self._ended_by = self._ended_by, None
        if ended_by is None:
            return
        own = _OWN.match(ended_by)
        if own is None:
            yield f"error: {ended_by} (its traceback stands in {self._where})"
        elif self._shown != (told := f"error: {ended_by[own.end() :]}"):
            yield told


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    rest = ""
    for piece in pieces:
        *whole, rest = (rest + piece).split("\n")
        yield from whole
    if rest:
        yield rest
