"""How good a classifier is: counts by true and predicted class, the rates that follow from them, the log loss.

With two classes, class 1 is the positive one. A rate that is 0/0 (the sensitivity where nobody is ill) is None, never a
guess.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.roc import checked_scores
from common.weighted_metrics import rates_of_confusions


@dataclass(frozen=True)
class Rates:
    """What a confusion matrix says; every rate in [0, 1], or None where it is 0/0.

    Attributes
    ----------
    correct, total : int
        Images on the diagonal, and all images.
    accuracy : float or None
        correct / total.
    sensitivity, specificity, precision, f1 : float or None
        Two classes: of class 1. More: the macro mean of the one-vs-rest rates, see `rates`.
    """

    correct: int
    total: int
    accuracy: float | None
    sensitivity: float | None
    specificity: float | None
    precision: float | None
    f1: float | None


def confusion_matrix(labels: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Count images by true class (row) and predicted class (column).

    Parameters
    ----------
    labels, predicted : array_like of int, shape (images,)
        In [0, classes). Zero images give a matrix of zeros.
    classes : int
        Number of classes, at least 2.

    Returns
    -------
    ndarray of int64, shape (classes, classes)

    Raises
    ------
    ValueError
        When the shapes differ or a class is out of range: such an image must not vanish from the counts.
    """
    truth, guess = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if truth.shape != guess.shape or truth.ndim != 1:
        raise ValueError(f"labels of shape {truth.shape} do not fit predictions of shape {guess.shape}")
    both = np.concatenate([truth, guess])
    if both.size and not (both.min() >= 0 and both.max() < classes):
        raise ValueError(f"a label or prediction is outside 0 to {classes - 1}")
    return np.bincount(truth * classes + guess, minlength=classes**2).astype(np.int64).reshape(classes, classes)


def rates(confusion: ArrayLike) -> Rates:
    """Return what a confusion matrix says.

    With more than two classes, each rate is the mean of the one-vs-rest rates over the classes that occur in truth. A
    class that occurs and is never predicted has no precision of its own (0/0); it counts as 0 in the mean, as in
    scikit-learn, for leaving it out would reward a model for never naming a rare class.

    Parameters
    ----------
    confusion : array_like of int, shape (classes, classes)
        Rows true, columns predicted.
    """
    matrix = np.asarray(confusion, dtype=np.int64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or len(matrix) < 2 or (matrix < 0).any():
        raise ValueError(f"a confusion matrix is square and counts images; this one has the shape {matrix.shape}")
    found = rates_of_confusions(matrix[None].astype(np.float64))
    values = {name: None if np.isnan(value[0]) else float(value[0]) for name, value in found.items()}
    return Rates(int(np.trace(matrix)), int(matrix.sum()), **values)


def mean_log_loss(labels: ArrayLike, probabilities: ArrayLike) -> float:
    """Return the mean of -log P(true class), in nats.

    Probabilities are clipped to at least 1e-7: one confident mistake is then worth 16 and not infinity.

    Raises
    ------
    ValueError
        When there is no image, or as in `checked_scores`.
    """
    truth, scores = checked_scores(labels, probabilities)
    if truth.size == 0:
        raise ValueError("the log loss of no image is undefined")
    return float(-np.log(scores[np.arange(truth.size), truth].clip(1e-7, 1)).mean())
