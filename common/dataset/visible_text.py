"""Text as a reader sees it: two names that look the same are one name."""

import unicodedata


def visible_text(value: str) -> str:
    """Return text in NFC without signs that nobody sees, with single spaces and none around it.

    macOS and Windows code an accent differently, so that one class has two names where hospitals use both.
    """
    seen = "".join(sign for sign in unicodedata.normalize("NFC", value) if unicodedata.category(sign) != "Cf")
    return " ".join(seen.split())
