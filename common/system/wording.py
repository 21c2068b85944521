"""Counted nouns, and lists of words."""


def plural(number: int, noun: str) -> str:
    """Return a counted noun, such as "1 image" or "12 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def words(text: str) -> frozenset[str]:
    """Return the words of a text, for long lists of them that are easier to read as one."""
    return frozenset(text.split())
