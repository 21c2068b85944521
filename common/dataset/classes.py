"""The order of a data set's classes, and which of two counts as diseased."""

import re
from collections.abc import Iterable

from common.errors import InputError

_DISEASED = frozenset({"positive", "pos", "disease", "diseased", "abnormal", "malignant", "case", "yes", "true"})
_HEALTHY = frozenset(
    {"negative", "neg", "normal", "healthy", "benign", "control", "no", "no finding", "no_finding", "none", "false"},
)
_NUMBER = re.compile(r"^-?\d+$", re.ASCII)


def order_classes(
    where: str, labels: Iterable[str], positive: str = "auto", classes: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """Return the distinct labels in the order that gives each its index.

    Of two classes the healthy one is 0 and the diseased one 1. More are sorted by name, numbers by value.

    Parameters
    ----------
    where : str
        What errors call the data set.
    labels : iterable of str
        All labels, repeated or not.
    positive : str
        The diseased class of two, by name. "auto" takes the greater of two numbers; else the class with a name that
        means disease (positive, abnormal, malignant, yes, true ...); else the one whose counterpart has a name that
        means health (negative, normal, benign, control, no ...); else the alphabetically last. Case does not matter.
        Among more than two classes it has no effect, but must still name one.
    classes : tuple of str
        The order itself, where a federation agreed on it: a hospital may have no image of some class, and must still
        number the others as all hospitals do. `positive` has no effect then.

    Returns
    -------
    tuple of str
        At least two.

    Raises
    ------
    InputError
        There is only one class, two classes differ by case alone, a label is none of `classes`, or `positive` names no
        class.
    """
    names = sorted(set(labels), key=_by_number_then_name)
    if classes:
        if unknown := [name for name in names if name not in classes]:
            raise InputError(f"{where}: the class {unknown[0]!r} is none of those agreed on: {', '.join(classes)}")
        return classes
    if len(names) < 2:
        only = f"only the class {names[0]!r}" if names else "no class"
        raise InputError(f"{where}: holds {only}; training needs images of at least two classes")
    folded: dict[str, str] = {}
    for name in names:
        twin = folded.setdefault(name.casefold(), name)
        if twin != name:
            raise InputError(f"{where}: the classes {twin!r} and {name!r} differ only by case; write both alike")
    if positive != "auto" and positive.casefold() not in folded:
        there = ", ".join(repr(name) for name in names)
        raise InputError(f"{where}: the positive class {positive!r} is not there; the classes are {there}")
    if len(names) > 2:
        return tuple(names)
    diseased = _guess_diseased(names) if positive == "auto" else folded[positive.casefold()]
    return (*(name for name in names if name != diseased), diseased)


def _by_number_then_name(name: str) -> tuple[int, int, str]:
    return (0, int(name), name) if _NUMBER.match(name) else (1, 0, name)


def _guess_diseased(pair: list[str]) -> str:
    if all(_NUMBER.match(name) for name in pair):
        return pair[-1]
    for words, wanted in ((_DISEASED | {"1"}, True), (_HEALTHY | {"0"}, False)):
        telling = [name for name in pair if name.casefold() in words]
        if len(telling) == 1:
            return telling[0] if wanted else next(name for name in pair if name != telling[0])
    return pair[-1]
