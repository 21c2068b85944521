"""Singular and plural of counted nouns."""


def plural(number: int, noun: str) -> str:
    """Return a counted noun, such as "1 image" or "12 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
