"""Small words that every console and page needs alike."""


def plural(number: int, noun: str) -> str:
    """Return such as "1 image" or "12 images"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
