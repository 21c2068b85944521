"""The words of a hospital's reply that may reach a log, a checkpoint or a terminal: a closed list.

Whatever a hospital sends is its choice: escape codes that rewrite a terminal, markup, line breaks that forge a line of
the log, ten megabytes. So nothing of it is repeated as it came. A word of the protocol stays, a number is written as a
number, and all else becomes `UNKNOWN`.
"""

import re
from collections.abc import Iterable

from flwr.common.constant import ErrorCode

from common.protocol.messages import KEYS
from common.protocol.refusals import known_reason
from common.system.files import is_sha256

UNKNOWN = "unknown"
DIED_SENDING = "went offline while it sent its reply"
UNREADABLE = "its reply cannot be read"
TOO_LARGE = "its reply is too large"

_GONE = "its reply is not available any more"
# What Flower itself says of a message, by its code; a hospital may send any of them.
_FLOWER = {
    ErrorCode.LOAD_CLIENT_APP_EXCEPTION: "its app could not be loaded",
    ErrorCode.CLIENT_APP_RAISED_EXCEPTION: "its app failed",
    ErrorCode.MESSAGE_UNAVAILABLE: _GONE,
    ErrorCode.REPLY_MESSAGE_UNAVAILABLE: _GONE,
    ErrorCode.NODE_UNAVAILABLE: "went offline",
    ErrorCode.INVALID_FAB: "its app could not be loaded",
    ErrorCode.CLIENT_APP_CRASHED: "its app crashed",
}
_LONGEST_VERSION = 32
_VERSION = re.compile(r"\d+(\.\d+){0,3}((a|b|rc)\d+)?(\.post\d+)?(\.dev\d+)?(\+[a-z0-9.]+)?", re.ASCII)
_HEAD = re.compile(r"[0-9]{12}:[0-9a-f]{64}")


def failure_word(code: int, reason: str) -> str:
    """Return why there is no answer, from the code and the text of Flower's `Error`.

    A reason of the protocol stays as it is; of any other only Flower's code is told.
    """
    if known_reason(reason) or reason in (DIED_SENDING, UNREADABLE, TOO_LARGE):
        return reason
    return _FLOWER.get(code, f"{UNKNOWN} failure")


def version_word(value: object) -> str:
    """Return a version of rarefed, such as 0.1.0 or 1.2rc1, if it is one."""
    known = isinstance(value, str) and len(value) <= _LONGEST_VERSION and _VERSION.fullmatch(value)
    return value if known and isinstance(value, str) else UNKNOWN


def digest_word(value: object) -> str:
    """Return a SHA-256 as 64 hexadecimal digits, if it is one."""
    return value if isinstance(value, str) and is_sha256(value) else UNKNOWN


def head_word(value: object) -> str:
    """Return the head of an audit log, RECORDS:HASH, if it is one; else an empty text."""
    return value if isinstance(value, str) and _HEAD.fullmatch(value) else ""


def number_word(value: object) -> str:
    """Return a number as text, if it is one: lists and texts can be of any length."""
    return str(value) if type(value) in (int, float) else "no number"


def key_words(keys: Iterable[str]) -> str:
    """Return the keys that the protocol knows, in order, and `UNKNOWN` once for all others."""
    listed = set(keys)
    return ", ".join([*sorted(listed & KEYS), *([UNKNOWN] if listed - KEYS else [])])
