"""What a cell of a manifest says: its label, patient or site, or a refusal by row."""

import re
from collections.abc import Iterable

from common.dataset.readers.csv_table import Row
from common.dataset.visible_text import visible_text
from common.errors import InputError

_NO_VALUE = frozenset({"nan", "na", "n/a", "n.a.", "<na>", "nat", "null", "nil", "?", "--", ".", "k.a."})
_NOBODY = frozenset({"-", "none", "unknown", "unbekannt", "missing", "not available", "anonymous", "anonymized", "-1"})
"""Stand-ins that make one patient of all who have none; as a label each may be a class."""
_SPREADSHEET_ERROR = re.compile(r"#(n/a|(ref|value|null|num|div/0)!|name\?)", re.IGNORECASE)
_WHOLE_NUMBER = re.compile(r"(-?\d+)\.0+", re.ASCII)
_SHORTENED = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)
_COUNTED_NAME = re.compile(r"([^\W\d]*)0*(\d+)")
_SIGNS = re.compile(r"[\s_]+|(?<=\w)-(?=\w)")
_LIST = re.compile(r"\[.*\]|\{.*\}")
_BETWEEN = re.compile(r"\s*[,/+&]\s*")


def cell_of(where: str, row: Row, column: str) -> str:
    """Return a cell that holds something, on one line."""
    value = row.cells.get(column, "")
    if not value:
        raise InputError(f"{where}: the column {column!r} is empty; fill it in or delete the row")
    if "\n" in value or "\r" in value:
        raise InputError(f"{where}: the column {column!r} has several lines; a double quote may be left open there")
    return value


def value_of(where: str, row: Row, column: str) -> str:
    """Return a label or site: accents coded in one way, white space as one space, ``1.0`` as ``1``.

    Raises
    ------
    InputError
        The cell is empty, or stands for a missing value.
    """
    value = visible_text(cell_of(where, row, column))
    if value.casefold() in _NO_VALUE or _SPREADSHEET_ERROR.fullmatch(value) or not value:
        raise InputError(f"{where}: {value!r} in the column {column!r} is no value; fill it in or delete the row")
    whole = _WHOLE_NUMBER.fullmatch(value)
    return whole[1] if whole else value


def label_of(where: str, row: Row, column: str) -> str:
    """Return the label as `value_of` does; raises `InputError` also for one that names several classes."""
    label = value_of(where, row, column)
    if "|" in label or ";" in label or _LIST.fullmatch(label):
        raise InputError(f"{where}: {label!r} names several classes; write the one that the network is to tell")
    return label


def check_single(manifest: str, labels: Iterable[str]) -> None:
    """Refuse a label such as ``a, b`` where ``a`` and ``b`` are labels of other images; raises `InputError`."""
    known = set(labels)
    for label in sorted(known):
        parts = _BETWEEN.split(label)
        if len(parts) > 1 and known.issuperset(parts):
            raise InputError(
                f"{manifest}: the label {label!r} names several classes, which other rows have alone; write the one "
                "that the network is to tell"
            )


def patient_of(where: str, row: Row, column: str) -> str:
    """Return the patient as `value_of` does; raises `InputError` also for what stands for nobody or is cut off."""
    name = value_of(where, row, column)
    if name.casefold() in _NOBODY:
        raise InputError(f"{where}: {name!r} in the column {column!r} is no patient; fill it in or delete the row")
    if _SHORTENED.fullmatch(name):
        raise InputError(
            f"{where}: {name!r} in the column {column!r} is a number whose last digits a spreadsheet program cut off; "
            "save that column as text"
        )
    return name


def check_spelling(manifest: str, what: str, names: Iterable[tuple[int, str]]) -> None:
    """Refuse a patient or site that another row has in another case, with other zeros in front, or other signs between.

    Parameters
    ----------
    manifest : str
        What errors call the table.
    what : str
        "patient" or "site".
    names : iterable of (int, str)
        The row's number and the name, row by row.

    Raises
    ------
    InputError
        With both spellings and rows.
    """
    seen: dict[str, tuple[str, int]] = {}
    for number, name in names:
        counted = _COUNTED_NAME.fullmatch(name)
        plain = _SIGNS.sub(" ", counted[1] + counted[2] if counted else name).casefold()
        first, row = seen.setdefault(plain, (name, number))
        if first != name:
            raise InputError(
                f"{manifest} row {number}: the {what} {name!r} is written {first!r} in row {row}; write both "
                "alike, or, if they are two, differently in more than case, spaces and zeros"
            )
