"""Reads a text file that a person wrote."""

import codecs
from pathlib import Path

from common.errors import InputError
from common.system.unreadable import explain_unreadable

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_utf8(path: Path) -> str:
    """Return a file's text without byte order mark; raises `InputError`, with the line, for one that is not UTF-8."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(explain_unreadable(path, error)) from error
    if content.startswith(_UTF16_MARKS):
        raise InputError(f"{path}: is UTF-16 text; save it as UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}:{line}: is no UTF-8 text; save it as UTF-8") from error
