"""Tells whether the first folders of a data set are its hospitals and the second ones its classes."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from common.dataset.class_names import split_words, tell_disease
from common.dataset.column_names import names_a_hospital
from common.errors import InputError

_MOST_CLASSES = 20


def hospitals_come_first(root: Path, names: Sequence[str]) -> bool:
    """Tell whether images lie in hospital/class/ rather than in class/.

    Parameters
    ----------
    root : Path
        What errors call the data set.
    names : sequence of str
        Paths of the images below it with "/" separators, each in a folder.

    Raises
    ------
    InputError
        The same few folders lie below most first folders, and nothing tells which of the two are the classes.
    """
    below: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        first, *rest = name.split("/")
        below[first].add(rest[0] if len(rest) > 1 else "")
    second = set().union(*below.values())
    if len(below) < 2 or "" in second or not 2 <= len(second) <= _MOST_CLASSES:
        return False
    spread = [sum(one in ours for ours in below.values()) for one in second]
    if not all(len(ours) > 1 for ours in below.values()) or min(spread) < max(2, len(below) / 2):
        # Not the same folders below each: patients, or parts of a class.
        return _are_hospitals(below) and max(spread) > 1
    if _are_classes(below) and not _are_classes(second):
        return False
    if _are_hospitals(below) or (_are_classes(second) and not _are_classes(below)):
        return True
    if all(any(word.isdigit() for word in split_words(one)) for one in second):
        return False  # numbered folders, the same below each class: patients that are counted anew, or magnifications
    raise InputError(
        f"{root}: below each of {_few(below)} lie {_few(second)}, and nothing tells which of them are the classes and "
        "which the hospitals; add a manifest.csv with the columns path, label and site"
    )


def _are_hospitals(folders: Collection[str]) -> bool:
    return all(map(names_a_hospital, folders))


def _are_classes(folders: Collection[str]) -> bool:
    names = sorted(folders)
    if len(names) == 2:
        return tell_disease(*names).certain
    return any(tell_disease(first, second).certain for first in names for second in names if first < second)


def _few(folders: Collection[str]) -> str:
    names = sorted(folders)
    return ", ".join(repr(name) for name in names[:3]) + (" ..." if len(names) > 3 else "")
