"""pydantic's errors in plain words: what is expected in place of a value, and how it is written."""

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic_core import ErrorDetails

_NUMBER_WITH_COMMA = re.compile(r"[+-]?\d+,\d+")
_PERCENT = re.compile(r"\d+(\.\d+)? ?%", re.ASCII)
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "above"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "below"),
}
_EXPECTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
}


def explain_value(error: ErrorDetails, written: str = "") -> str:
    """Say what is expected in place of a value, in one clause without field and value.

    Parameters
    ----------
    error : ErrorDetails
        One of a `ValidationError`'s; not of an unknown or a missing field.
    written : str
        The value as it stands in the file; empty: unknown.
    """
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if value is None:
        return "fill it in, or write [] for none" if kind == "tuple_type" else "fill it in"
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"must be {words} {context[key]}"
    if kind == "string_pattern_mismatch":
        return f"only these signs may stand there: {context['pattern']}"
    if kind == "too_short":
        return f"must have {context['min_length']} or more entries"
    if kind == "literal_error":
        # pydantic gives the words as "'a', 'b' or 'c'".
        # All words stand there, so that only a slip of the pen needs a hint: gpu does not mean cpu.
        known = re.findall(r"'([^']*)'", context["expected"])
        return f"must be {context['expected']}{did_you_mean(str(value), known, likeness=0.75)}"
    if kind in ("string_type", "path_type"):
        return _expect_text(value, written)
    if kind == "tuple_type":
        return f"a list is expected; {_as_list(value)}"
    if kind in _EXPECTED:
        return f"{_EXPECTED[kind]} is expected{_decimal_point(value) if kind.startswith('float') else ''}"
    return error["msg"]


def did_you_mean(word: str, known: Iterable[str], likeness: float = 0) -> str:
    """Return the end of an error about an unknown word, which names the most similar known one; empty without any.

    Case, hyphens and underscores do not count. `likeness` in [0, 1] is the least that a word is named at.
    """
    found = nearest_of(word, known, likeness)
    return f"; did you mean {found!r}?" if found else ""


def nearest_of(word: str, known: Iterable[str], likeness: float = 0) -> str | None:
    """Return the most similar known word, whatever its case, hyphens and underscores; None if none is known."""
    plain = {_plain(each): each for each in known}
    nearest = difflib.get_close_matches(_plain(word), plain, n=1, cutoff=likeness)
    return plain[nearest[0]] if nearest else None


def shown_value(value: object) -> str:
    """Return a value for one line of an error, shortened."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _plain(word: str) -> str:
    return word.casefold().replace("-", "_").replace(" ", "_")


def _expect_text(value: object, written: str) -> str:
    if isinstance(value, list | tuple | dict):
        return "one text is expected, not several values"
    what = "true or false" if isinstance(value, bool) else "a number" if isinstance(value, int | float) else "a date"
    return f'this is taken for {what}; where a text is meant, put it into quotes: "{written or value}"'


def _as_list(value: Any) -> str:
    if isinstance(value, dict):
        return "begin each entry with a hyphen"
    words = [word.strip() for word in value.split(",")] if isinstance(value, str) else [value]
    return f"write {json.dumps(words, ensure_ascii=False, default=str)}"


def _decimal_point(value: object) -> str:
    if isinstance(value, str) and _NUMBER_WITH_COMMA.fullmatch(value.strip()):
        return f"; with a decimal point, {value.strip().replace(',', '.')}"
    if isinstance(value, str) and _PERCENT.fullmatch(value.strip()):
        return f"; a share, {float(value.strip().rstrip('% ')) / 100:g}"
    return ""


def field_path(location: Iterable[int | str]) -> str:
    """Return a field's place in a file, as in `server.port`; items of lists count from 1, as people do."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f" number {part + 1}:"
        else:
            path += f"{' ' if path.endswith(':') else '.' if path else ''}{part}"
    return path.removesuffix(":")
