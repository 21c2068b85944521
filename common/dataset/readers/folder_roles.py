"""Tells what the folders of a data set stand for: classes, hospitals above or below them, or something else."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from common.dataset.class_names import speaks_of_health, split_words, tell_disease
from common.dataset.column_names import names_a_hospital
from common.dataset.split_names import names_a_split, speaks_of_splits, without_split
from common.dataset.visible_text import visible_text
from common.errors import InputError
from common.system.wording import words

_PARTS = words(
    """
    part parts batch batches fold folds chunk subset split disc disk volume dir folder images image imgs img data mask
    masks labels annotations groundtruth gt
    """
)
# What parts images and is neither a class nor a hospital.
_KINDS = words(
    """
    ct mri mr xray xr cxr us ultrasound pet dx cr oct fundus left right l r od os male female m f axial coronal sagittal
    frontal lateral pa ap original originals raw processed preprocessed cropped resized enhanced augmented augmentation
    color colour grey gray rgb images imgs data dataset flair thumbs thumbnails backup
    """
)
_MAGNIFICATION = re.compile(r"^\d+x$", re.IGNORECASE)
_MOST_CLASSES = 20


@dataclass(frozen=True)
class FolderRoles:
    """Which folder on the way to an image names what; 0 is the first below the root.

    Attributes
    ----------
    label : int
        The folder of the class.
    site : int or None
        The folder of the hospital; None where there is none.
    """

    label: int
    site: int | None

    @property
    def depth(self) -> int:
        """The deeper of the two."""
        return max(self.label, self.site or 0)

    def in_words(self, sites: Collection[str], further: Collection[str]) -> str | None:
        """Say which folders are taken for hospitals, and that further ones tell nothing; None where all are classes."""
        if self.site is not None:
            where = "above" if self.site < self.label else "below"
            return f"folders {where} the classes are taken for hospitals: {_few(sites)}"
        if further:
            return f"folders below the classes are taken for neither classes nor hospitals: {_few(further)}"
        return None


_NOTHING_TELLS = "nothing tells which of them are the classes and which the hospitals"
_CLASSES_ONLY = FolderRoles(0, None)
_HOSPITALS_FIRST = FolderRoles(1, 0)
_HOSPITALS_SECOND = FolderRoles(0, 1)


def find_roles(root: Path, names: Sequence[str], agreed: Collection[str] = ()) -> FolderRoles:
    """Tell which folders are the classes and which the hospitals.

    The first folders are the classes, unless they name hospitals (``site-1``) or the second ones alone speak of health
    and disease. Whatever can be taken for both is refused: a hospital that is trained as a class makes every number
    wrong.

    Parameters
    ----------
    root : Path
        What errors call the data set.
    names : sequence of str
        Paths of the images below it with "/" separators, each in a folder.
    agreed : collection of str
        The classes that a federation agreed on; empty where it did not.

    Raises
    ------
    InputError
        The folders are splits, parts of one set, kinds of images, hospitals without classes, or may be several.
    """
    below = _folders_below(names, 0)
    second = set().union(*below.values()) - {""}
    _refuse_splits(root, below, agreed)
    if len(below) == 1 and second and not set(below) <= set(agreed):
        _refuse_outer_folder(root, next(iter(below)), second)
    _refuse_stray_folders(root, below, agreed)
    roles = _roles_of_two_levels(root, below, second, agreed)
    if roles is _HOSPITALS_FIRST:
        _refuse_splits(root, _folders_below(names, 1), agreed)
    _refuse_deeper_classes(root, names, roles, agreed)
    return roles


def _folders_below(names: Sequence[str], depth: int) -> dict[str, set[str]]:
    """Return, for each folder at a depth, the folders in it, and "" where images lie in it."""
    below: defaultdict[str, set[str]] = defaultdict(set)
    for name in names:
        folders = [visible_text(folder) for folder in name.split("/")[:-1]]
        if len(folders) > depth:
            below[folders[depth]].add(folders[depth + 1] if len(folders) > depth + 1 else "")
    return dict(below)


def _roles_of_two_levels(
    root: Path, below: Mapping[str, set[str]], second: Collection[str], agreed: Collection[str]
) -> FolderRoles:
    shared = sum(map(len, below.values())) > len(set().union(*below.values()))
    if all(map(names_a_hospital, below)):
        if not second:
            _refuse(root, f"{_few(below)} name hospitals, and no folders of classes lie below them")
        if not shared and not _are_classes(second, agreed):
            _refuse(
                root, f"below the hospitals {_few(below)} lie {_few(second)}, which look like patients, not classes"
            )
        return _HOSPITALS_FIRST
    if not second:
        return _CLASSES_ONLY
    first_tell, second_tell = _are_classes(below, agreed), _are_classes(second, agreed)
    if second_tell and not first_tell and shared:
        _refuse_what_is_no_hospital(root, below, second)
        return _HOSPITALS_FIRST
    if (first_tell == second_tell and _same_below_each(below)) or (second_tell and not first_tell):
        _refuse(root, f"below {_few(below)} lie {_few(second)}, and {_NOTHING_TELLS}")
    return _HOSPITALS_SECOND if all(map(names_a_hospital, second)) else _CLASSES_ONLY


def _refuse_stray_folders(root: Path, below: Mapping[str, set[str]], agreed: Collection[str]) -> None:
    """Refuse a class beside hospitals, and images beside the hospitals of a class: the others would change their role.

    A class that holds a folder of its own name was unpacked twice.
    """
    for name in below:
        outer = [other for other in below if name in below[other] and other != name]
        if outer:
            _refuse(root, f"{name!r} lies beside {outer[0]!r} and in it, and {_NOTHING_TELLS}")
    hospitals = [name for name in below if names_a_hospital(name)]
    classes = set().union(*(below[name] for name in hospitals)) - {""}
    in_several = len(hospitals) > 1 and any(sum(one in below[name] for name in hospitals) > 1 for one in classes)
    if hospitals and len(hospitals) < len(below) and (in_several or _are_classes(classes, agreed)):
        others = sorted(set(below) - set(hospitals))
        _refuse(root, f"{_few(hospitals)} name hospitals, with {_few(classes)} below them, and {_few(others)} do not")
    second = set().union(*below.values())
    loose = sorted(name for name in below if "" in below[name])
    if loose and second != {""} and all(map(names_a_hospital, second - {""})):
        _refuse(root, f"{_few(second - {''})} name hospitals, and in {_few(loose)} images lie beside them")


def _refuse_deeper_classes(root: Path, names: Sequence[str], roles: FolderRoles, agreed: Collection[str]) -> None:
    """Refuse folders that speak of health and disease below those that are taken for classes and do not."""
    classes = set(_folders_below(names, roles.label))
    if _are_classes(classes, agreed):
        return
    for depth in range(roles.depth + 1, max(name.count("/") for name in names)):
        deeper = set(_folders_below(names, depth))
        if _are_classes(deeper, ()):
            _refuse(root, f"{_few(deeper)} lie deeper than {_few(classes)}, and {_NOTHING_TELLS}")


def _refuse_splits(root: Path, below: Mapping[str, set[str]], agreed: Collection[str]) -> None:
    splits = [name for name in below if names_a_split(name) and name not in agreed]
    largest = next((name for name in splits if "train" in name.casefold()), next(iter(splits), ""))
    # A lone "test" beside "control" may be a class, but not one beside two others.
    may_be_class = len(below) == 2 and len(splits) == 1 and "train" not in splits[0].casefold()
    if splits and (not may_be_class or below[splits[0]] != {""}):
        _refuse(
            root,
            f"its folders {_few(splits)} are splits, not classes",
            mend="move their class folders together (rarefed makes its own splits), give one of them alone, such as "
            f"{root / largest}",
        )
    classes = Counter(without_split(name) for name in below if speaks_of_splits(name) and name not in agreed)
    if any(count > 1 for count in classes.values()):
        _refuse(root, f"{_few(below)} look like classes and splits at once")
    kinds = [name for name in below if _names_a_kind(name) and name not in agreed]
    if len(kinds) == 1 and len(below) > 2 and below[kinds[0]] == {""}:
        _refuse(root, f"{kinds[0]!r} looks like a kind of images beside classes")
    unnumbered = {tuple(_plain_words(name)) for name in below}
    numbered_alike = len(unnumbered) == 1 and not _PARTS.isdisjoint(*unnumbered)
    if len(below) > 1 and (numbered_alike or all(told and _PARTS.issuperset(told) for told in unnumbered)):
        _refuse(root, f"{_few(below)} look like parts of one set, not like classes")


def _refuse_outer_folder(root: Path, only: str, second: Collection[str]) -> NoReturn:
    raise InputError(
        f"{root}: holds the one folder {only!r}; if those below it ({_few(second)}) are the classes, give {root / only}"
    )


def _refuse_what_is_no_hospital(root: Path, first: Collection[str], second: Collection[str]) -> None:
    """Refuse first folders above the classes that may be patients, kinds of images, or classes themselves."""
    if any(map(speaks_of_splits, first)):
        what = "splits"
    elif all(map(_names_a_kind, first)):
        what = "kinds of images"
    elif any(_numbered(name) and not names_a_hospital(name) for name in first):
        what = "patients or classes"
    elif any(map(speaks_of_health, first)):
        what = "classes"
    else:
        return
    _refuse(
        root,
        f"below {_few(first)} lie {_few(second)}, which look like classes; the former look like {what}, and are not "
        "taken for hospitals",
        mend="rename those that are as hospital-NAME, move the class folders together",
    )


def _names_a_kind(name: str) -> bool:
    told = _plain_words(name)
    return (bool(told) and _KINDS.issuperset(told)) or _MAGNIFICATION.match(name) is not None


def _refuse(root: Path, what: str, mend: str = "") -> NoReturn:
    ways = f"{mend}, or add" if mend else "add"
    raise InputError(f"{root}: {what}; {ways} a manifest.csv with the columns path, label, patient and site")


def _same_below_each(below: Mapping[str, set[str]]) -> bool:
    """Tell whether half of the few second folders lie below several first ones, as classes below hospitals would."""
    second = set().union(*below.values())
    if all("" in ours for ours in below.values()) or not 2 <= len(second - {""}) <= _MOST_CLASSES:
        return False
    shared = [one for one in second - {""} if sum(one in ours for ours in below.values()) > 1]
    return len(shared) >= len(second - {""}) / 2


def _are_classes(folders: Collection[str], agreed: Collection[str]) -> bool:
    if agreed:
        return set(folders) <= set(agreed)
    names = sorted(folders)
    if not 2 <= len(names) <= _MOST_CLASSES:
        return False
    if len(names) == 2:
        return tell_disease(*names).certain
    if all(name.isdigit() for name in names):
        return False  # grades, or patients, or hospitals
    return any(tell_disease(first, second).certain for first in names for second in names if first < second)


def _numbered(name: str) -> bool:
    return any(word.isdigit() for word in split_words(name))


def _plain_words(name: str) -> list[str]:
    return [word for word in split_words(name) if not word.isdigit()]


def _few(folders: Collection[str]) -> str:
    names = sorted(folders)
    return ", ".join(repr(name) for name in names[:3]) + (" ..." if len(names) > 3 else "")
