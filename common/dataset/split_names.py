"""The parts of a split, and what tables and archives call them."""

from typing import Literal

from common.dataset.column_names import plain_name

SplitName = Literal["train", "validation", "test"]

_CALLED: dict[SplitName, str] = {
    "train": "train training trainset trainingset trn",
    "validation": "validation val valid validate validationset valset",
    "test": "test testing testset tst heldout holdout",
}
_PARTS = {name: part for part, names in _CALLED.items() for name in names.split()}


def part_named(text: str) -> SplitName | None:
    """Return the part that a text such as ``Valid`` names, compared as columns are; None where it names none."""
    return _PARTS.get(plain_name(text))
