"""How good a classifier is: confusion matrices, the rates that follow from them, the AUC, the log loss.

With two classes, class 1 is the positive one. A rate that is 0/0 (the sensitivity without any positive image) is
None.

The `weighted_*` functions take many weightings of the images at once: weights of one give the metric itself, a
resample's weights its value there, so that there is one definition for both. Weights are whole numbers: sums of counts
and pairs are then exact, and a result does not depend on the order in which a machine adds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.evaluation.roc import checked_scores

RATES = ("accuracy", "sensitivity", "specificity", "precision", "f1")


def weighted_confusions(
    labels: NDArray[np.int64], predicted: NDArray[np.int64], classes: int, weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return a confusion matrix for each weighting.

    Parameters
    ----------
    labels, predicted : ndarray of int64, shape (N,)
        In [0, classes).
    classes : int
        At least 2.
    weights : ndarray of float64, shape (B, N)
        At least 0.

    Returns
    -------
    ndarray of float64, shape (B, classes, classes)
        Rows true, columns predicted.
    """
    cells = np.eye(classes**2)[labels * classes + predicted]
    confusions: NDArray[np.float64] = (weights @ cells).reshape(len(weights), classes, classes)
    return confusions


def rates_of_confusions(confusions: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return the rates of many confusion matrices; NaN where a rate is 0/0.

    Two classes: the rates of class 1. More: means of the one-vs-rest rates over the classes that occur in truth, where
    a class that is never predicted has a precision of 0; see `common.evaluation.metrics.rates`.

    Parameters
    ----------
    confusions : ndarray of float64, shape (B, classes, classes)

    Returns
    -------
    dict of str to ndarray of float64, shape (B,)
        By the names in `RATES`, each in [0, 1] or NaN.
    """
    total = confusions.sum(axis=(1, 2))
    hits = np.diagonal(confusions, axis1=1, axis2=2)
    missed = confusions.sum(axis=2) - hits
    false_alarms = confusions.sum(axis=1) - hits
    rest = total[:, None] - hits - missed - false_alarms
    per_class = {
        "sensitivity": _share(hits, hits + missed),
        "specificity": _share(rest, rest + false_alarms),
        "precision": _share(hits, hits + false_alarms),
        "f1": _share(2 * hits, 2 * hits + missed + false_alarms),
    }
    found = {"accuracy": _share(hits.sum(axis=1), total)}
    if confusions.shape[1] == 2:
        return found | {name: values[:, 1] for name, values in per_class.items()}
    occurs = hits + missed > 0
    for name, values in per_class.items():
        counted = occurs & ~np.isnan(values) if name == "specificity" else occurs
        sums = np.where(counted, np.nan_to_num(values), 0.0).sum(axis=1)
        found[name] = _share(sums, counted.sum(axis=1).astype(np.float64))
    return found


def nan_mean(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Return the mean of the values that are not NaN; NaN where there is none, without NumPy's warning."""
    known = ~np.isnan(values)
    return _share(np.where(known, values, 0.0).sum(axis=axis), known.sum(axis=axis).astype(np.float64))


def _share(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


@dataclass(frozen=True)
class Rates:
    """The rates of a confusion matrix, each in [0, 1], or None where it is 0/0.

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
        When the shapes differ or a class is out of range: no image may be missing from the counts.
    """
    truth, guess = np.asarray(labels, dtype=np.int64), np.asarray(predicted, dtype=np.int64)
    if truth.shape != guess.shape or truth.ndim != 1:
        raise ValueError(f"labels of shape {truth.shape} do not fit predictions of shape {guess.shape}")
    both = np.concatenate([truth, guess])
    if both.size and not (both.min() >= 0 and both.max() < classes):
        raise ValueError(f"a label or prediction is outside 0 to {classes - 1}")
    return np.bincount(truth * classes + guess, minlength=classes**2).astype(np.int64).reshape(classes, classes)


def rates(confusion: ArrayLike) -> Rates:
    """Return the rates of a confusion matrix.

    With more than two classes, each rate is the mean of the one-vs-rest rates over the classes that occur in truth. A
    class that occurs and is never predicted has no precision of its own (0/0); it counts as 0 in the mean, as in
    scikit-learn, since leaving it out would reward a model that never predicts a rare class.

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

    Probabilities are clipped to at least 1e-7, so that one confident mistake adds 16 and not infinity.

    Raises
    ------
    ValueError
        When there is no image, or as in `checked_scores`.
    """
    truth, scores = checked_scores(labels, probabilities)
    if truth.size == 0:
        raise ValueError("the log loss of no image is undefined")
    return float(-np.log(scores[np.arange(truth.size), truth].clip(1e-7, 1)).mean())
