"""Reads a plan from a TOML file: tables such as ``[federation]`` with ``rounds = 5``."""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.errors import InputError
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from common.system.text_file import read_utf8

_LINE = re.compile(r" \(at line (\d+), column \d+\)$")
_HINTS = (
    (re.compile(r'"[^"]*\\'), r"in double quotes a backslash is a sign of its own; use single quotes, 'C:\data'"),
    (re.compile(r"^\s*[\w.-]+\s*:"), "write KEY = VALUE; a table is [federation] on a line of its own"),
    (re.compile(r"=\s*[+-]?\d+,\d"), "write a decimal point, not a comma"),
    (re.compile(r"=\s*[+-]?\.\d"), "write a digit before the decimal point"),
    (re.compile(r"=\s*[+-]?0\d"), "write a number without zeros in front"),
    (re.compile(r"=\s*(True|False|TRUE|FALSE|yes|no|on|off)\b"), "write true or false"),
    (re.compile(r"=\s*$"), "a value is missing"),
    (re.compile(r'=\s*[^\s"\'\d\[{+-]'), 'a text stands in straight quotes: "..."'),
    (re.compile(r'=\s*"[^"]*$'), "the quote is never closed"),
)
"""What is usual in a line that is no TOML, and how it is mended; the first that fits."""


def read_plan_file(path: Path, changes: Mapping[str, Scalar] | None = None) -> TrainingPlan:
    """Read a plan; keys that the file lacks keep their defaults.

    Parameters
    ----------
    path : Path
        The TOML file, UTF-8.
    changes : mapping of str to bool, int, float or str
        Dotted keys that take precedence over the file's.

    Raises
    ------
    InputError
        If the file is no plan; one line that names it.
    """
    given: dict[str, Scalar] = {}
    for group, values in read_toml(path).items():
        if not isinstance(values, dict):
            hint = "write it without quotes" if "." in group else "write the table's name above it"
            raise InputError(f"{path}: {group} stands outside of a table such as [federation]; {hint}")
        given |= {f"{group}.{key}": value for key, value in values.items()}
    try:
        plan = TrainingPlan.from_flat(given)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return plan.changed(changes or {})


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file, UTF-8.

    Raises
    ------
    InputError
        If it is none; one line that names file and line, and says how what is usual there is mended.
    """
    text = read_utf8(path)
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise InputError(_describe(path, text, error)) from error


def flatten(nested: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested tables as dotted keys: ``{"data": {"size": 64}}`` as ``{"data.size": 64}``."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= flatten(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return flat


def _describe(path: Path, text: str, error: ValueError) -> str:
    found = _LINE.search(str(error))
    if found is None:
        return f"{path}: is no TOML: {error}"
    number = int(found[1])
    line = text.splitlines()[number - 1] if number <= len(text.splitlines()) else ""
    hint = next((words for pattern, words in _HINTS if pattern.search(line)), "")
    problem = " ".join(_LINE.sub("", str(error)).split())
    return f"{path}:{number}: is no TOML: {problem}{'; ' if hint else ''}{hint}"
