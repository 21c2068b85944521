"""What the parts of a split are called, in folders, tables and archives."""

import re
from typing import Literal

from common.dataset.class_names import split_words
from common.dataset.column_names import plain_name
from common.system.wording import words

SplitName = Literal["train", "validation", "test"]

_CALLED: dict[SplitName, str] = {
    "train": "train training trainset trainingset trn",
    "validation": "validation val valid validate validationset valset",
    "test": "test testing testset tst heldout holdout",
}
_PARTS = {name: part for part, names in _CALLED.items() for name in names.split()}
_SPLITS = words(
    """
    train training val valid validation dev test testing eval evaluation holdout fold folds cv external unlabeled
    unlabelled validierung entrainement apprentissage entrenamiento prueba
    pruebas addestramento treino teste
    """
)
_JOINED = re.compile(r"(?:train|trainings?|test|val|valid|validierungs)(?:sets?|data|daten|bilder|images|menge)")
_SPLIT_COMPANIONS = words("set data images imgs dataset private public")


def part_named(text: str) -> SplitName | None:
    """Return the part that a text such as ``Valid`` names, compared as columns are; None where it names none."""
    return _PARTS.get(plain_name(text))


def names_a_split(name: str) -> bool:
    """Tell whether a name is that of a split and nothing else: ``train``, ``Test images``, ``fold2``."""
    told = _words_of(name)
    splits = _splits_among(told)
    return bool(splits) and told <= splits | _SPLIT_COMPANIONS


def speaks_of_splits(name: str) -> bool:
    """Tell whether a name has a word for a split, among others: ``tumor_train``."""
    return bool(_splits_among(_words_of(name)))


def without_split(name: str) -> frozenset[str]:
    """Return the words of a name but for those of splits: ``tumor_train`` and ``tumor_test`` are of one class."""
    told = _words_of(name)
    return told - _splits_among(told)


def _splits_among(told: frozenset[str]) -> frozenset[str]:
    return frozenset(word for word in told if word in _SPLITS or _JOINED.fullmatch(word))


def _words_of(name: str) -> frozenset[str]:
    return frozenset(word for word in split_words(name) if not word.isdigit())
