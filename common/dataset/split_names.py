"""What the parts of a split are called, in folders and tables."""

from common.dataset.class_names import split_words
from common.system.wording import words

_SPLITS = words(
    """
    train training val valid validation dev test testing eval evaluation holdout fold folds cv external unlabeled
    unlabelled trainingsdaten testdaten validierung validierungsdaten entrainement apprentissage entrenamiento prueba
    pruebas addestramento treino teste
    """
)
_SPLIT_COMPANIONS = words("set data images imgs dataset")


def names_a_split(name: str) -> bool:
    """Tell whether a name is that of a split and nothing else: ``train``, ``Test images``, ``fold2``."""
    told = _words_of(name)
    return bool(told & _SPLITS) and told <= _SPLITS | _SPLIT_COMPANIONS


def speaks_of_splits(name: str) -> bool:
    """Tell whether a name has a word for a split, among others: ``tumor_train``."""
    return not _SPLITS.isdisjoint(_words_of(name))


def _words_of(name: str) -> set[str]:
    return {word for word in split_words(name) if not word.isdigit()}
