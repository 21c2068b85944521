"""Counted nouns, and lists of names and words."""

from collections.abc import Iterable

_NAMES_SHOWN = 3


def plural(number: int, noun: str) -> str:
    """Return a counted noun, such as "1 image" or "12 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def first_few(names: Iterable[str]) -> str:
    """Return the first names and how many more there are; unprintable characters become spaces."""
    listed = ["".join(c if c.isprintable() else " " for c in name) for name in names]
    more = len(listed) - _NAMES_SHOWN
    return ", ".join(listed[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def printable(text: str) -> str:
    """Return a text that anybody may have written as one line for a log or a terminal, control characters escaped."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)


def shortened(text: str, longest: int) -> str:
    """Return a text, or its beginning and three dots where it is longer than so many characters."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def words(text: str) -> frozenset[str]:
    """Return the words of a text, for long lists of them that are easier to read as one."""
    return frozenset(text.split())
