"""Text for terminals that cannot show all of it: replaced by what they can show, never lost and never an error."""

import codecs
import sys
import unicodedata

_NAME = "rarefed-readable"
_ASCII = str.maketrans(
    {
        **dict.fromkeys("‐‑‒–—−─━╌╍", "-"),
        **dict.fromkeys("│┃║", "|"),
        **dict.fromkeys("‘’′", "'"),
        **dict.fromkeys("“”„″", '"'),
        **dict.fromkeys("·•●", "*"),
        "…": "...",
        "±": "+/-",
        "×": "x",
        "→": "->",
        "←": "<-",
        "≤": "<=",
        "≥": ">=",
        "µ": "u",
        "ß": "ss",
    }
)


def make_output_readable() -> None:
    """Have standard output and error replace the characters that their encoding lacks, such as a dash by a hyphen."""
    codecs.register_error(_NAME, _replace)
    for stream in (sys.stdout, sys.stderr):
        # None if the caller has closed it; a test's stand-in takes every character.
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors=_NAME)


def _replace(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_readable(character) for character in missing), error.end


def _readable(character: str) -> str:
    """Return ASCII for a character: its likeness, its letter without the accent, or its code."""
    plain = unicodedata.normalize("NFKD", character.translate(_ASCII)).encode("ascii", "ignore").decode()
    return plain or character.encode("ascii", "backslashreplace").decode()
