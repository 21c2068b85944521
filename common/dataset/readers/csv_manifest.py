"""A manifest: a CSV file with one image per row: its path, its label, and perhaps its patient, site and split."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from common.dataset.column_names import may_name_sites
from common.dataset.file_tally import TABLE_SUFFIXES
from common.dataset.image_source import FileSource
from common.dataset.listing import ListedImage, Listing, shown_name
from common.dataset.readers.csv_columns import Columns, class_of, find_columns
from common.dataset.readers.csv_paths import ManifestFolder
from common.dataset.readers.csv_table import Row, read_table
from common.dataset.readers.csv_values import (
    cell_of,
    check_names,
    check_one_for_all,
    label_of,
    part_of,
    patient_of,
    value_of,
)
from common.dataset.readers.image_files import files_around, why_closed
from common.dataset.readers.masks import find_masks
from common.dataset.settings import DatasetSettings
from common.errors import InputError
from common.imaging.limits import ImageLimits
from common.system.wording import plural

MANIFEST_NAME = "manifest.csv"


def find_manifest(folder: Path) -> Path | None:
    """Return the folder's ``manifest.csv`` or ``manifest.tsv``, in capitals or not; None where there is none.

    Raises
    ------
    InputError
        There are several.
    """
    names = {f"manifest{suffix}" for suffix in TABLE_SUFFIXES}
    found = sorted(path for path in folder.iterdir() if path.name.casefold() in names)
    if len(found) > 1:
        raise InputError(f"{folder}: holds {found[0].name} and {found[1].name}; keep one manifest there")
    return found[0] if found else None


def list_csv(manifest: Path, settings: DatasetSettings, limits: ImageLimits) -> Listing:
    """List the images of a manifest; their paths start at the manifest's folder.

    Blank rows, further columns and white space around cells are ignored. Images in the manifest's folder that no row
    names are left out by name.

    Parameters
    ----------
    manifest : Path
        The CSV file, as `read_table` takes it.
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
        The file is no such CSV; a column is missing; a cell is empty or no value; a path is absolute, leads out of the
        folder, occurs twice, or names no file. The message names the row.
    """
    header, rows = read_table(manifest, limits)
    folder = ManifestFolder(manifest.parent)
    columns = find_columns(manifest, header, rows, settings, folder)
    images: list[ListedImage] = []
    first_rows: dict[Path, int] = {}
    missing: list[tuple[int, str]] = []
    for row in rows:
        where = f"{manifest} row {row.number}"
        given = cell_of(where, row, columns.path)
        found = folder.find(where, given)
        if found is None:
            missing.append((row.number, given))
            continue
        path, relative = found
        if path in first_rows:
            raise InputError(f"{where}: {relative!r} is in row {first_rows[path]} already; keep one of the two rows")
        first_rows[path] = row.number
        images.append(_image(where, row, columns, relative, FileSource(path, shown_name(relative), limits)))
    _check_missing(manifest, folder, missing)
    if not images:
        raise InputError(f"{manifest}: no images; add one row per image below the header")
    check_names(str(manifest), list(zip(first_rows.values(), images, strict=True)), settings)
    if columns.patient is not None:
        check_one_for_all(str(manifest), columns.patient, [str(image.patient) for image in images])
    patient_source = None if columns.patient is None else f"column {columns.patient!r}"
    left_out, others = _not_listed(manifest, set(first_rows))
    remarks = [_tell_classes(columns), _tell_masks([image.name for image in images]), _tell_site(header, columns)]
    split_source = None if columns.split is None else f"column {columns.split!r}"
    return Listing(images, left_out, patient_source, others, "; ".join(filter(None, remarks)) or None, split_source)


def _check_missing(manifest: Path, folder: ManifestFolder, missing: list[tuple[int, str]]) -> None:
    if missing:
        number, given = missing[0]
        further = f", and {len(missing) - 1} further rows name missing files" if len(missing) > 1 else ""
        nearest = folder.nearest(given)
        mend = f"{nearest!r} is there: mend the paths" if nearest else "mend the paths or delete the rows"
        raise InputError(f"{manifest} row {number}: there is no file {given!r} in {manifest.parent}{further}; {mend}")


def _not_listed(manifest: Path, listed: set[Path]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the images in the folder that no row names, with the reason, and the files that are no images."""
    root = manifest.parent.resolve()
    files = files_around(root)

    def named(path: Path) -> str:
        return shown_name(path.relative_to(root).as_posix())

    left_out = [(named(path), f"{manifest.name} does not list it") for path in files.images if path not in listed]
    left_out += [(named(path), why_closed(path)) for path in files.closed if path not in listed]
    others = [named(path) for path in files.others if path != manifest.resolve() and path not in listed]
    return left_out, others


def _tell_classes(columns: Columns) -> str | None:
    """Say which columns are taken for classes: a pair such as male and female might look like them as well."""
    if not columns.classes:
        return None
    listed = ", ".join(map(repr, columns.classes))
    return f"no column holds the label: the classes are the columns of 0 and 1, {listed}; data.label_column ends that"


def _tell_masks(names: Sequence[str]) -> str | None:
    """Say that rows may name masks; they are used, since whoever lists them may mean it."""
    masks = sorted(find_masks([f"all/{name}" for name in names]))
    if not masks:
        return None
    example = masks[0].removeprefix("all/")
    return f"{plural(len(masks), 'row')} of the manifest may name masks, such as {example}; delete those that do"


def _tell_site(header: Sequence[str], columns: Columns) -> str | None:
    """Say that an unknown column may hold the site."""
    column = next((column for column in header if may_name_sites(column)), None)
    if column is None or columns.site is not None or column in (columns.label, columns.patient, columns.path):
        return None
    return f"the column {column!r} is not read: where it tells the hospital, name it in data.site_column"


def _image(where: str, row: Row, columns: Columns, relative: str, source: FileSource) -> ListedImage:
    label, patient, site = (
        None if column is None else read(where, column, cell_of(where, row, column))
        for read, column in ((label_of, columns.label), (patient_of, columns.patient), (value_of, columns.site))
    )
    label = label or class_of(row, columns)
    *folders, _ = relative.split("/")
    return ListedImage(
        name=source.name,
        stem=shown_name(PurePosixPath(relative).stem),
        label=label,
        # With an empty cell, all such images would become one patient, or images of one patient several: an error.
        patient=patient,
        site=site,
        source=source,
        folders=tuple(folder for folder in map(shown_name, folders) if folder not in (label, site)),
        part=None if columns.split is None else part_of(where, columns.split, cell_of(where, row, columns.split)),
    )
