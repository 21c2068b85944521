"""The nearest right thing to say of a table whose columns have unknown names, told from what they hold."""

from collections.abc import Sequence
from pathlib import Path

from common.dataset.column_names import may_be_identifiers
from common.dataset.readers.csv_paths import ManifestFolder
from common.dataset.readers.csv_table import Row

_ROWS = 20
_MOST_CLASSES = 20
_MOST_NAMED = 3
_IMAGES_OF_ONE = 4


def path_hint(header: Sequence[str], rows: Sequence[Row], folder: ManifestFolder) -> str:
    """Return the end of an error about a missing path column: which column's cells are names of files there."""
    found = [column for column in header if column and _names_files(column, rows, folder)]
    return f"; {found[0]!r} names files: set data.path_column to it" if found else ""


def tell_paths(columns: Sequence[str], rows: Sequence[Row], folder: ManifestFolder) -> list[str]:
    """Return which of several columns name files; one alone where they name the same files, and all where none does."""
    naming = [column for column in columns if _names_files(column, rows, folder)]
    files = [_files(column, rows, folder) for column in naming]
    if naming and all(each == files[0] for each in files):
        return naming[:1]
    return naming or list(columns)


def label_hint(header: Sequence[str], rows: Sequence[Row], used: Sequence[str]) -> str:
    """Return the end of an error about a missing label column: which columns hold a few different values."""
    found = [
        f"{column!r} ({count} different values)"
        for column in header
        if column
        and column not in used
        and 2 <= (count := _distinct(column, rows)) <= min(_MOST_CLASSES, len(rows) / 2)
    ]
    return f"; if it is {' or '.join(found[:_MOST_NAMED])}, name it in data.label_column" if found else ""


def header_is_data(header: Sequence[str], folder: ManifestFolder) -> bool:
    """Tell whether the first row names a file, and so is no header."""
    return any(folder.file_of(cell) for cell in header if cell)


def may_group_images(column: str, rows: Sequence[Row]) -> bool:
    """Tell whether an unknown column looks like identifiers that a few images have in common, as patients would be.

    Its name ends as an identifier's, its values repeat, and there are many of them: a device or a reader has more
    images than that.
    """
    distinct = _distinct(column, rows)
    return may_be_identifiers(column) and len(rows) / _IMAGES_OF_ONE <= distinct < len(rows) and distinct > 1


def _names_files(column: str, rows: Sequence[Row], folder: ManifestFolder) -> bool:
    return bool(rows) and None not in _files(column, rows, folder)


def _files(column: str, rows: Sequence[Row], folder: ManifestFolder) -> list[Path | None]:
    cells = [row.cells.get(column, "") for row in rows[:_ROWS]]
    return [folder.file_of(cell) if cell else None for cell in cells]


def _distinct(column: str, rows: Sequence[Row]) -> int:
    return len({row.cells.get(column, "") for row in rows} - {""})
