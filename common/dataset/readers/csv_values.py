"""What a cell of a manifest, or an entry of an array, says: its label, patient or site, or a refusal by row."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from common.dataset.listing import ListedImage
from common.dataset.readers.csv_table import Row
from common.dataset.settings import DatasetSettings
from common.dataset.split_names import SplitName, part_named
from common.dataset.visible_text import visible_text
from common.errors import InputError
from common.system.wording import words

_NO_VALUE = frozenset({"nan", "na", "n/a", "n.a.", "<na>", "nat", "null", "nil", "?", "--", ".", "k.a."})
_NOBODY = words(
    """
    none unknown unbekannt missing notavailable anon anonym anonymous anonymized anonymised anonymisiert xxx tbd keine
    keiner
    """
)
"""Stand-ins that make one patient of all who have none, without signs; as a label each may be a class."""
# So large a share of a table is no one patient's, but that of all whose name is not known.
_ONE_FOR_ALL = 0.5
_LEAST_FOR_ALL = 10
_OTHER_WORDS = {
    **dict.fromkeys(("true", "yes", "y", "ja"), "1"),
    **dict.fromkeys(("false", "no", "n", "nein"), "0"),
    **dict.fromkeys(("pos", "+"), "positive"),
    **dict.fromkeys(("neg", "-"), "negative"),
}
# A label of so few rows that is nearly another one is a slip of the pen.
_SLIPS = 2
_NEARLY = 0.85
_LEAST_LETTERS = 5
_SPREADSHEET_ERROR = re.compile(r"#(n/a|(ref|value|null|num|div/0)!|name\?)", re.IGNORECASE)
_WHOLE_NUMBER = re.compile(r"(-?\d+)\.0+", re.ASCII)
_SHORTENED = re.compile(r"\d([.,]\d+)?E\+\d+", re.IGNORECASE)
_COUNTED_NAME = re.compile(r"([^\W\d]*)0*(\d+)")
_SIGNS = re.compile(r"[\s_]+|(?<=\w)-(?=\w)")
_ONLY_ZEROS = re.compile("0{3,}")
_TEXT_MARK = re.compile(r"^'(?=\d+$)")  # which a spreadsheet program sets before digits that are text
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


def value_of(where: str, column: str, text: str) -> str:
    """Return a label or site: accents coded in one way, white space as one space, ``1.0`` as ``1``.

    Raises
    ------
    InputError
        The text is empty, or stands for a missing value.
    """
    value = visible_text(text)
    if value.casefold().replace(" ", "") in _NO_VALUE or _SPREADSHEET_ERROR.fullmatch(value) or not value:
        raise InputError(f"{where}: {value!r} in the column {column!r} is no value; fill it in or delete the row")
    whole = _WHOLE_NUMBER.fullmatch(value)
    return whole[1] if whole else value


def label_of(where: str, column: str, text: str) -> str:
    """Return the label as `value_of` does; raises `InputError` also for one that names several classes."""
    label = value_of(where, column, text)
    if "|" in label or ";" in label or _LIST.fullmatch(label):
        raise InputError(f"{where}: {label!r} names several classes; write the one that the network is to tell")
    return label


def check_names(table: str, images: Sequence[tuple[int, ListedImage]], settings: DatasetSettings) -> None:
    """Refuse patients, sites and labels of which only the others tell that they were mistyped.

    Parameters
    ----------
    table : str
        What errors call the table.
    images : sequence of (int, ListedImage)
        With the numbers of their rows.
    settings : DatasetSettings
        Where they name the classes, labels may be nearly alike.

    Raises
    ------
    InputError
        With both names and rows.
    """
    for what in ("patient", "site", "label"):
        names = [(row, getattr(image, what)) for row, image in images]
        check_spelling(table, what, ((row, name) for row, name in names if name))
    check_single(table, (image.label for _, image in images))
    if not settings.classes:
        check_slips(table, [(row, image.label) for row, image in images])


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


def check_slips(table: str, labels: Sequence[tuple[int, str]]) -> None:
    """Refuse a label that is one of another row in other words for yes and no, or nearly so and in a row or two only.

    Parameters
    ----------
    table : str
        What errors call the table.
    labels : sequence of (int, str)
        The row's number and the label, row by row.

    Raises
    ------
    InputError
        With the row and both labels.
    """
    counts = Counter(label for _, label in labels)
    first_row = {label: number for number, label in reversed(labels)}
    truths: dict[str, str] = {}
    for label in counts:
        twin = truths.setdefault(_OTHER_WORDS.get(label.casefold(), label.casefold()), label)
        if twin != label:
            raise InputError(
                f"{table} row {first_row[label]}: the label {label!r} stands beside {twin!r}, in row "
                f"{first_row[twin]}; write both alike"
            )
    for label, count in counts.items():
        others = [other for other, rows in counts.items() if rows > max(count, _SLIPS) and _nearly(label, other)]
        if count <= _SLIPS and others:
            raise InputError(
                f"{table} row {first_row[label]}: the label {label!r} is nearly {others[0]!r}, which "
                f"{counts[others[0]]} rows have; write it alike, or, if it is another class, name all in data.classes"
            )


def _nearly(label: str, other: str) -> bool:
    """Tell whether letters were mistyped; another number or a longer word is another label."""
    same_numbers = re.findall(r"\d", label) == re.findall(r"\d", other)
    long_enough = min(len(label), len(other)) >= _LEAST_LETTERS and abs(len(label) - len(other)) <= 1
    return same_numbers and long_enough and difflib.SequenceMatcher(None, label, other).ratio() >= _NEARLY


def patient_of(where: str, column: str, text: str) -> str:
    """Return the patient as `value_of` does; raises `InputError` also for what stands for nobody or is cut off."""
    name = value_of(where, column, _TEXT_MARK.sub("", text))
    letters = "".join(sign for sign in name.casefold() if sign.isalnum())
    if letters in _NOBODY or not letters or name == "-1" or _ONLY_ZEROS.fullmatch(name):
        raise InputError(f"{where}: {name!r} in the column {column!r} is no patient; fill it in or delete the row")
    if _SHORTENED.fullmatch(name):
        raise InputError(
            f"{where}: {name!r} in the column {column!r} is a number whose last digits a spreadsheet program cut off; "
            "save that column as text"
        )
    return name


def part_of(where: str, column: str, text: str) -> SplitName:
    """Return the part of a split that a cell names; raises `InputError` where it names none."""
    value = value_of(where, column, text)
    part = part_named(value)
    if part is None:
        raise InputError(f"{where}: {value!r} in the column {column!r} is no part; write train, validation or test")
    return part


def check_one_for_all(table: str, column: str, patients: Sequence[str]) -> None:
    """Refuse a patient who has most of many images: it stands for all whose name is not known.

    Raises
    ------
    InputError
        With the name and its share.
    """
    name, count = Counter(patients).most_common(1)[0]
    if count >= _LEAST_FOR_ALL and count > _ONE_FOR_ALL * len(patients):
        raise InputError(
            f"{table}: {name!r} in the column {column!r} is the patient of {count} of {len(patients)} images; if it "
            "stands for all whose name is not known, give each a name of its own, else set data.patient_column to "
            "another column or to 'none'"
        )


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
