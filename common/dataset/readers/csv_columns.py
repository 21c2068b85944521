"""Which columns of a table hold the path, the label, the patient, the site and the split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from common.dataset.column_names import LABELS, PATHS, PATIENTS, SITES, SPLITS, matching, may_name_patients, usual
from common.dataset.readers.csv_hints import header_is_data, label_hint, may_group_images, path_hint, tell_paths
from common.dataset.readers.csv_paths import ManifestFolder
from common.dataset.readers.csv_table import Row
from common.dataset.settings import DEFAULT_SETTINGS, DatasetSettings
from common.dataset.split_names import names_a_split, part_named
from common.errors import InputError

_ONE = frozenset({"1", "1.0", "true"})
_BINARY = _ONE | {"0", "0.0", "false", ""}


@dataclass(frozen=True)
class Columns:
    """The columns that are read.

    Attributes
    ----------
    path : str
    label : str or None
        None where `classes` hold it.
    patient, site, split : str or None
        None where there is none.
    classes : tuple of str
        One column per class, exactly one of which is 1 in each row; empty where `label` is there.
    """

    path: str
    label: str | None
    patient: str | None
    site: str | None
    split: str | None
    classes: tuple[str, ...] = ()


def find_columns(
    manifest: Path, header: Sequence[str], rows: Sequence[Row], settings: DatasetSettings, folder: ManifestFolder
) -> Columns:
    """Find the columns that the settings ask for, or those of the usual names.

    Raises
    ------
    InputError
        One is missing, there twice, or one of several; or an unknown column may hold the patient.
    """
    finder = _Finder(manifest, header)
    paths = finder.candidates(settings.path_column, DEFAULT_SETTINGS.path_column, PATHS)
    if not paths:
        if header_is_data(header, folder):
            raise InputError(f"{manifest}: row 1 must name the columns, such as path,label; it holds {finder.there}")
        raise finder.missing("path", settings.path_column, path_hint(header, rows, folder))
    path = finder.only("path", paths if len(set(paths)) == 1 else tell_paths(paths, rows, folder))
    patient = _patient(finder, rows, settings)
    site = finder.asked("site", settings.site_column, DEFAULT_SETTINGS.site_column, SITES)
    # Beside x, y is the height of something in the image.
    labels = LABELS.removesuffix(" y") if matching(header, "x") else LABELS
    label = finder.asked("label", settings.label_column, DEFAULT_SETTINGS.label_column, labels)
    split = _split(finder, rows, settings.split_column)
    if label is not None:
        return Columns(path, label, patient, site, split)
    classes = _class_columns(finder, rows, [one for one in (path, patient, site) if one is not None])
    return Columns(path, None, patient, site, split, classes)


class _Finder:
    def __init__(self, manifest: Path, header: Sequence[str]) -> None:
        self.manifest = manifest
        self.header = header

    def asked(self, what: str, name: str, default: str, usual_names: str) -> str | None:
        """Return the column of a name; by default the one of a usual name, or None."""
        found = self.candidates(name, default, usual_names)
        if not found:
            if name == default:
                return None
            raise self.missing(what, name)
        return self.only(what, found)

    def candidates(self, name: str, default: str, usual_names: str) -> list[str]:
        """Return the columns of a name; by default those of a usual name."""
        return matching(self.header, name) or (usual(self.header, usual_names) if name == default else [])

    @property
    def there(self) -> str:
        return ", ".join(repr(column) for column in self.header if column)

    def only(self, what: str, found: Sequence[str]) -> str:
        if self.header.count(found[0]) > 1:
            count = self.header.count(found[0])
            raise InputError(f"{self.manifest}: the column {found[0]!r} is there {count} times; rename the others")
        if len(found) > 1:
            raise InputError(
                f"{self.manifest}: the {what} may be in {' or in '.join(map(repr, found))}; name one in "
                f"data.{what}_column"
            )
        return found[0]

    def missing(self, what: str, name: str, hint: str = "") -> InputError:
        return InputError(f"{self.manifest}: no {what} column {name!r}; the columns there are {self.there}{hint}")


def _patient(finder: _Finder, rows: Sequence[Row], settings: DatasetSettings) -> str | None:
    asked = settings.patient_column
    if asked == "none":
        return None
    if asked != "auto":
        found = matching(finder.header, asked)
        if not found:
            raise finder.missing("patient", asked)
        return finder.only("patient", found)
    found = usual(finder.header, PATIENTS)
    # Beside what may be only a lesion or a case, a column that speaks of patients is worth a question.
    if not found or not may_name_patients(found[0]):
        for column in finder.header:
            if column not in found and (may_name_patients(column) or may_group_images(column, rows)):
                taken = f", and so may {found[0]!r}" if found else ""
                raise InputError(
                    f"{finder.manifest}: the column {column!r} may tell the patient{taken}; name one in "
                    "data.patient_column, or set that to 'none' if it does not"
                )
    if not found:
        return None
    return finder.only("patient", [column for column in found if column == found[0] or _alike(column, found[0])])


def _split(finder: _Finder, rows: Sequence[Row], asked: str) -> str | None:
    """Return the column asked for; by default the first of the usual names in which each row has a part of a split."""
    if asked != DEFAULT_SETTINGS.split_column:
        found = matching(finder.header, asked)
        if not found:
            raise finder.missing("split", asked)
        return finder.only("split", found)
    return next((column for column in usual(finder.header, SPLITS) if _tells_split(column, rows)), None)


def _tells_split(column: str, rows: Sequence[Row]) -> bool:
    parts = {part_named(row.cells.get(column, "")) for row in rows}
    return "train" in parts and None not in parts


def _alike(one: str, other: str) -> bool:
    return matching([one], other) != []


def _class_columns(finder: _Finder, rows: Sequence[Row], used: Sequence[str]) -> tuple[str, ...]:
    """Return the columns of a one-hot table; refuse one in which rows have no class or several."""
    binary = [
        column
        for column in finder.header
        if column
        and column not in used
        and all(row.cells.get(column, "").casefold() in _BINARY for row in rows)
        and any(row.cells.get(column, "") for row in rows)
    ]
    if not rows or not binary:
        raise finder.missing("label", DEFAULT_SETTINGS.label_column, label_hint(finder.header, rows, used))
    if splits := [column for column in binary if names_a_split(column)]:
        raise InputError(
            f"{finder.manifest}: no label column, and {splits[0]!r}, which holds 0 and 1, looks like a split; add a "
            "column label, or name it in data.label_column"
        )
    if len(binary) == 1:
        raise InputError(
            f"{finder.manifest}: no label column; if {binary[0]!r}, which holds 0 and 1, is it, name it in "
            "data.label_column"
        )
    for row in rows:
        ones = [column for column in binary if _is_one(row, column)]
        if len(ones) != 1:
            what = f"{ones[0]!r} and {ones[1]!r} are both" if ones else f"none of {', '.join(map(repr, binary))} is"
            raise InputError(
                f"{finder.manifest} row {row.number}: no label column, and {what} 1 here where one must be; add a "
                "column label, or name it in data.label_column"
            )
    return tuple(column for column in binary if any(_is_one(row, column) for row in rows))


def class_of(row: Row, columns: Columns) -> str:
    """Return which of a row's class columns is 1."""
    return next(column for column in columns.classes if _is_one(row, column))


def _is_one(row: Row, column: str) -> bool:
    return row.cells.get(column, "").casefold() in _ONE
