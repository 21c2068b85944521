"""The rows of a table as a spreadsheet program saves it, or a refusal that says how to save it."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.errors import InputError
from common.imaging.decode import read_bytes
from common.imaging.limits import ImageLimits

_SEPARATORS = (",", ";", "\t", "|")
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Row:
    """One row below the header.

    Attributes
    ----------
    number : int
        As a spreadsheet counts: the header of a table without blank rows is row 1.
    cells : dict of str to str
        By column, without white space around them.
    """

    number: int
    cells: dict[str, str]


def read_table(path: Path, limits: ImageLimits) -> tuple[list[str], list[Row]]:
    """Return the header and the rows that are not blank.

    The file is UTF-8, or UTF-16 with its mark, separated by comma, semicolon, tab or bar; a first line ``sep=;`` is
    understood.

    Raises
    ------
    InputError
        It is no such file, a row has more cells than the header, or a quote swallows rows.
    """
    text, first_row = _without_separator_line(_decode(path, read_bytes(path, str(path), limits)))
    table: list[list[str]] = []
    try:
        separator = first_row or _separator(text)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
        table.extend([cell.strip() for cell in row] for row in reader)
    except csv.Error as error:
        where = f"{path} row {len(table) + 1 + bool(first_row)}"
        # A quote that is left open at the top of a long table runs into the limit of a cell.
        if "unexpected end" in str(error) or ("field limit" in str(error) and '"' in text):
            raise InputError(f"{where}: a double quote is opened here and never closed; close or delete it") from error
        if "expected after" in str(error):
            raise InputError(
                f"{where}: a cell in double quotes goes on after its closing quote; write a quote inside of it twice"
            ) from error
        raise InputError(f"{where}: is no CSV file ({error}); save the table as 'CSV UTF-8'") from error
    top = next((index for index, cells in enumerate(table) if any(cells)), None)
    if top is None:
        raise InputError(f"{path}: is empty; the first row must name the columns")
    header = table[top]
    if len([cell for cell in header if cell]) < 2:
        number = top + 1 + bool(first_row)
        raise InputError(
            f"{path} row {number}: holds one cell, {_shown(header)}; the first row must name the columns, separated by "
            "comma, semicolon, tab or bar"
        )
    rows = []
    shortest = min((len(cells) for cells in table[top:] if any(cells)), default=len(header))
    for number, cells in enumerate(table[top + 1 :], start=top + 2 + bool(first_row)):
        if any(cells):
            _check_row(f"{path} row {number}", header, cells, separator, shortest)
            rows.append(Row(number, dict(zip(header, cells, strict=False))))
    return header, rows


def _shown(cells: Sequence[str]) -> str:
    text = " ".join(next(cell for cell in cells if cell).split())
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def _decode(path: Path, data: bytes) -> str:
    if data.startswith(_WORKBOOKS):
        raise InputError(f"{path}: is an Excel workbook under another name; save it as 'CSV UTF-8'")
    encoding = "utf-16" if data.startswith(_UTF16) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        row = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{path} row {row}: is not UTF-8 text (byte {error.start}); save the table as 'CSV UTF-8'"
        ) from error
    text = text.removesuffix("\x1a")  # the end of a file in DOS
    if "\0" in text:
        raise InputError(f"{path}: is no text file (it holds zero bytes); save the table as 'CSV UTF-8'")
    return text


def _without_separator_line(text: str) -> tuple[str, str]:
    """Return the text without a first line ``sep=;``, as Excel writes it, and that separator, "" without one."""
    line, _, rest = text.lstrip().partition("\n")
    line = line.strip("\r").strip('"')
    if line.casefold().startswith("sep=") and len(line) == len("sep=") + 1:
        return rest, line[-1]
    return text, ""


def _separator(text: str) -> str:
    """Return the separator that divides the first line into most cells.

    The header alone decides: column names hold no separators, whereas paths and free text below may hold any.
    """
    first_line = next(iter(text.strip().splitlines()), "")
    return max(_SEPARATORS, key=lambda separator: len(next(csv.reader([first_line], delimiter=separator), [])))


def _check_row(where: str, header: Sequence[str], cells: Sequence[str], separator: str, shortest: int) -> None:
    if any(cells[len(header) :]):
        raise InputError(
            f"{where}: has {len(cells)} cells where the header has {len(header)}; put a cell that holds the separator "
            "into double quotes"
        )
    # Rows may lack their last cells: a swallowed one has as many as the shortest that was read.
    fewest = max(1, min(shortest, len(header)) - 1)
    swallowed = [line for cell in cells for line in cell.splitlines()[1:] if line.count(separator) >= fewest]
    if swallowed:
        raise InputError(
            f"{where}: a double quote swallows {len(swallowed)} of the rows below it; close it in its own row"
        )
