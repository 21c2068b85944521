"""A manifest: a CSV file with one image per row: its path, its label, and perhaps its patient and site."""

import csv
import io
import posixpath
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from common.dataset.image_source import FileSource
from common.dataset.listing import ListedImage, Listing, shown_name
from common.dataset.settings import DEFAULT_SITE_COLUMN, PATIENT_COLUMNS, DatasetSettings
from common.errors import InputError
from common.imaging.decode import read_bytes
from common.imaging.limits import ImageLimits

MANIFEST_NAME = "manifest.csv"
_SEPARATORS = (",", ";", "\t")


@dataclass(frozen=True)
class _Row:
    number: int  # as a spreadsheet counts: the header is row 1
    cells: dict[str, str]


@dataclass(frozen=True)
class _Columns:
    path: str
    label: str
    patient: str | None
    site: str | None


def list_csv(manifest: Path, settings: DatasetSettings, limits: ImageLimits) -> Listing:
    """List the images of a manifest; their paths start at the manifest's folder.

    The file is UTF-8 with or without byte order mark, separated by comma, semicolon or tab. Blank rows, further columns
    and white space around cells are ignored.

    Parameters
    ----------
    manifest : Path
        The CSV file.
    settings : DatasetSettings
        Names of the columns.
    limits : ImageLimits
        For the manifest itself and for the sources.

    Returns
    -------
    Listing
        One image per row.

    Raises
    ------
    InputError
        The file is no such CSV; a column is missing; a cell is empty; a path is absolute, leads out of the folder,
        occurs twice, or names no file. The message names the row.
    """
    header, rows = _read_table(manifest, limits)
    columns = _columns(manifest, header, settings)
    images: list[ListedImage] = []
    first_rows: dict[Path, int] = {}
    missing: list[tuple[int, str]] = []
    for row in rows:
        where = f"{manifest} row {row.number}"
        relative = _relative_path(where, _cell(where, row, columns.path))
        path = _inside(where, manifest.parent, relative)
        if path in first_rows:
            raise InputError(f"{where}: {relative!r} is in row {first_rows[path]} already; keep one of the two rows")
        first_rows[path] = row.number
        if path.is_file():
            images.append(_image(where, row, columns, relative, FileSource(path, shown_name(relative), limits)))
        else:
            missing.append((row.number, relative))
    if missing:
        number, relative = missing[0]
        further = f", and {len(missing) - 1} further rows name missing files" if len(missing) > 1 else ""
        raise InputError(
            f"{manifest} row {number}: there is no file {relative!r} in {manifest.parent}{further}; mend the paths or "
            "delete the rows"
        )
    if not images:
        raise InputError(f"{manifest}: no images; add one row per image below the header")
    return Listing(images, [], None if columns.patient is None else f"column {columns.patient!r}")


def _image(where: str, row: _Row, columns: _Columns, relative: str, source: FileSource) -> ListedImage:
    return ListedImage(
        name=source.name,
        stem=shown_name(PurePosixPath(relative).stem),
        label=_cell(where, row, columns.label),
        # With an empty cell, all such images would become one patient, or images of one patient several: an error.
        patient=None if columns.patient is None else _cell(where, row, columns.patient),
        site=None if columns.site is None else _cell(where, row, columns.site),
        source=source,
    )


def _read_table(manifest: Path, limits: ImageLimits) -> tuple[list[str], list[_Row]]:
    """Return the header and the rows that are not blank, with white space stripped."""
    try:
        text = read_bytes(manifest, str(manifest), limits).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{manifest}: is not UTF-8 text (byte {error.start}); save it as 'CSV UTF-8'") from error
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text))
        table = [[cell.strip() for cell in row] for row in reader]
    except csv.Error as error:
        raise InputError(f"{manifest}: is no CSV file ({error}); save it as 'CSV UTF-8'") from error
    top = next((i for i, cells in enumerate(table) if any(cells)), None)
    if top is None:
        raise InputError(f"{manifest}: is empty; the first row must name the columns")
    header = table[top]
    rows = []
    for number, cells in enumerate(table[top + 1 :], start=top + 2):
        if not any(cells):
            continue
        if any(cells[len(header) :]):
            raise InputError(
                f"{manifest} row {number}: has {len(cells)} cells where the header has {len(header)}; put a cell that "
                "holds the separator into double quotes"
            )
        rows.append(_Row(number, dict(zip(header, cells, strict=False))))
    return header, rows


def _separator(text: str) -> str:
    """Return the separator that divides the first line into most cells.

    The header alone decides: column names hold no separators, whereas paths and free text below may hold any.
    """
    first_line = next(iter(text.strip().splitlines()), "")
    return max(_SEPARATORS, key=lambda separator: len(next(csv.reader([first_line], delimiter=separator), [])))


def _columns(manifest: Path, header: list[str], settings: DatasetSettings) -> _Columns:
    """Find the columns that the settings ask for."""

    def required(what: str, column: str) -> str:
        if column not in header:
            there = ", ".join(repr(name) for name in header if name)
            raise InputError(f"{manifest}: no {what} column {column!r}; the columns there are {there}")
        return column

    patient: str | None
    if settings.patient_column == "auto":
        patient = next((column for column in PATIENT_COLUMNS if column in header), None)
    else:
        patient = None if settings.patient_column == "none" else required("patient", settings.patient_column)
    site: str | None = settings.site_column
    if settings.site_column != DEFAULT_SITE_COLUMN:
        required("site", settings.site_column)
    elif settings.site_column not in header:
        site = None
    columns = _Columns(required("path", settings.path_column), required("label", settings.label_column), patient, site)
    for column in (columns.path, columns.label, columns.patient, columns.site):
        if column is not None and header.count(column) > 1:
            raise InputError(
                f"{manifest}: the column {column!r} is there {header.count(column)} times; rename the others"
            )
    return columns


def _cell(where: str, row: _Row, column: str) -> str:
    value = row.cells.get(column, "")
    if not value:
        raise InputError(f"{where}: the column {column!r} is empty; fill it in or delete the row")
    return value


def _relative_path(where: str, given: str) -> str:
    """Return a normalised path with "/" separators; manifests from Windows have backslashes."""
    windows = PureWindowsPath(given)
    if windows.drive or windows.root or "\0" in given:
        raise InputError(f"{where}: {given!r} is not a path relative to the manifest's folder")
    return posixpath.normpath(given.replace("\\", "/"))


def _inside(where: str, folder: Path, relative: str) -> Path:
    """Return the file's real path; refuse one that leaves the manifest's folder, by ``..`` or by a link."""
    root = folder.resolve()
    try:
        path = (root / relative).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        raise InputError(f"{where}: {relative!r} cannot be followed; give a plain path") from error
    if not path.is_relative_to(root):
        raise InputError(f"{where}: {relative!r} leads out of {folder}; put the file into that folder")
    return path
