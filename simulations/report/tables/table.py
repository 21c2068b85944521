"""Tables of text, which terminal, report and CSV files show alike."""

import csv
import io
from dataclasses import dataclass, field

# What a spreadsheet takes for the beginning of a formula.
_FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Cell:
    """A value, and below it in small print its interval or what qualifies it."""

    text: str
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes
    ----------
    cells : list of Cell
        The first one is the row's heading.
    arm : str
        The key of the arm whose colour the row has, or "".
    reason : str
        Why there is nothing to show beside the heading, or "".
    """

    cells: list[Cell]
    arm: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes
    ----------
    name : str
        Of its file.
    title : str
        What it shows.
    columns : list of Cell
        Headings.
    rows : list of Row
    caption : str
        What a reader must know to read it, or "".
    """

    name: str
    title: str
    columns: list[Cell]
    rows: list[Row] = field(default_factory=list)
    caption: str = ""


def plain_cells(*texts: str) -> list[Cell]:
    """Return cells without small print."""
    return [Cell(text) for text in texts]


def table_csv(table: Table) -> str:
    """Return a table as CSV text; what qualifies a value follows it in brackets."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_plain(cell) for cell in table.columns])
    for row in table.rows:
        writer.writerow([_plain(cell) for cell in row.cells] + ([row.reason] if row.reason else []))
    return text.getvalue()


def _plain(cell: Cell) -> str:
    """Return a cell as one text, which no spreadsheet takes for a formula."""
    whole = f"{cell.text} ({cell.note})" if cell.note else cell.text
    return f"'{whole}" if whole.startswith(_FORMULA_SIGNS) else whole
