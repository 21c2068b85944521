"""Log files of limited size."""

import contextlib
import logging
import logging.handlers
import re
from pathlib import Path

from common.system.wording import printable

_LOG_BYTES = 10_000_000
_LOG_FILES = 5
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class _Handler(logging.handlers.RotatingFileHandler):
    """Drops lines silently on a full disk, instead of printing a traceback for each."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        pass


class RotatingLog:
    """A log file with the time before each line, rotated at 10 MB; five older files are kept."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._handler = _Handler(path, maxBytes=_LOG_BYTES, backupCount=_LOG_FILES, encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))

    def write(self, line: str) -> None:
        """Add one line, without what would rewrite the terminal that shows it; may be called from any thread."""
        self._handler.handle(logging.LogRecord("", logging.INFO, "", 0, printable(line), None, None))

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._handler.close()


def without_colours(text: str) -> str:
    """Return text without ANSI colour codes."""
    return _COLOURS.sub("", text)
