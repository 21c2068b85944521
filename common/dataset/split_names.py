"""What the parts of a split are called, in folders, tables and archives."""

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
    unlabelled trainingsdaten testdaten validierung validierungsdaten entrainement apprentissage entrenamiento prueba
    pruebas addestramento treino teste
    """
)
_SPLIT_COMPANIONS = words("set data images imgs dataset")


def part_named(text: str) -> SplitName | None:
    """Return the part that a text such as ``Valid`` names, compared as columns are; None where it names none."""
    return _PARTS.get(plain_name(text))


def names_a_split(name: str) -> bool:
    """Tell whether a name is that of a split and nothing else: ``train``, ``Test images``, ``fold2``."""
    told = _words_of(name)
    return bool(told & _SPLITS) and told <= _SPLITS | _SPLIT_COMPANIONS


def speaks_of_splits(name: str) -> bool:
    """Tell whether a name has a word for a split, among others: ``tumor_train``."""
    return not _SPLITS.isdisjoint(_words_of(name))


def _words_of(name: str) -> set[str]:
    return {word for word in split_words(name) if not word.isdigit()}
