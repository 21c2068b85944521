"""The order of a data set's classes, and which of two counts as diseased."""

import re
from collections.abc import Iterable, Sequence

from common.dataset.class_names import tell_disease
from common.dataset.visible_text import visible_text
from common.errors import InputError

_NUMBER = re.compile(r"^-?\d+$", re.ASCII)
_ALIKE = re.compile(r"[\s_]+|(?<=\w)-(?=\w)")


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
        The diseased class of two, by name; case does not matter. "auto" decides by the names, see
        `common.dataset.class_names`. Among more than two classes it has no effect, but must still name one.
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
    positive = visible_text(positive)
    if classes:
        if unknown := [name for name in names if name not in classes]:
            raise InputError(f"{where}: the class {unknown[0]!r} is none of those agreed on: {', '.join(classes)}")
        return classes
    if len(names) < 2:
        only = f"only the class {names[0]!r}" if names else "no class"
        raise InputError(f"{where}: holds {only}; training needs images of at least two classes")
    folded = {name.casefold(): name for name in names}
    alike: dict[str, str] = {}
    for name in names:
        twin = alike.setdefault(_ALIKE.sub(" ", name).casefold(), name)
        if twin != name:
            raise InputError(
                f"{where}: the classes {twin!r} and {name!r} differ only by case, spaces, _ or -; write both alike"
            )
    if positive != "auto" and positive.casefold() not in folded:
        there = ", ".join(repr(name) for name in names)
        raise InputError(f"{where}: the positive class {positive!r} is not there; the classes are {there}")
    if len(names) > 2:
        return tuple(names)
    diseased = tell_disease(*names).name if positive == "auto" else folded[positive.casefold()]
    return (*(name for name in names if name != diseased), diseased)


def _by_number_then_name(name: str) -> tuple[int, int, str]:
    return (0, int(name), name) if _NUMBER.match(name) else (1, 0, name)


def describe_guess(classes: Sequence[str], positive: str = "auto", agreed: Sequence[str] = ()) -> str | None:
    """Say that the diseased class is a guess; None where it is none.

    Parameters
    ----------
    classes : sequence of str
        From `order_classes`.
    positive : str
        What the user named, or "auto".
    agreed : sequence of str
        The order that a federation agreed on, empty where it did not.
    """
    if len(classes) != 2 or positive != "auto" or agreed or tell_disease(*classes).certain:
        return None
    return f"a guess from the names: {classes[1]!r} is taken for the disease; data.positive=NAME says otherwise"
