"""How good a classifier is, from labels and predicted probabilities; two classes or more.

With two classes, class 1 is the positive one. A number that is 0/0 (the sensitivity where nobody is ill) is None, never
a guess, and becomes `null` in JSON. ROC curves and intervals have modules of their own and are offered here as well.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.intervals import PairedTest, auc_interval, mcnemar_test, wilson_interval
from common.roc import RocCurve, ScoreHistogram, auc, checked_scores, mean_roc, roc_curve

__all__ = [
    "PairedTest",
    "Rates",
    "RocCurve",
    "ScoreHistogram",
    "arm_metrics",
    "auc",
    "auc_interval",
    "confusion_matrix",
    "mcnemar_test",
    "mean_log_loss",
    "mean_roc",
    "rates",
    "roc_curve",
    "wilson_interval",
]


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
    per_class = [_one_vs_rest(matrix, index) for index in range(len(matrix))]
    correct, total = int(np.trace(matrix)), int(matrix.sum())
    if len(matrix) == 2:
        return Rates(correct, total, _share(correct, total), **per_class[1])
    present = [one for one, row in zip(per_class, matrix, strict=True) if row.any()]
    return Rates(
        correct,
        total,
        _share(correct, total),
        sensitivity=_mean([one["sensitivity"] for one in present]),
        specificity=_mean([one["specificity"] for one in present if one["specificity"] is not None]),
        precision=_mean([one["precision"] for one in present]),
        f1=_mean([one["f1"] for one in present]),
    )


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


def arm_metrics(labels: ArrayLike, probabilities: ArrayLike) -> dict[str, Any]:
    """Return everything the comparison reports about one set of predictions, ready for JSON.

    Parameters
    ----------
    labels : array_like of int, shape (images,)
        In [0, classes); may be empty.
    probabilities : array_like of float, shape (images, classes)
        In [0, 1]; the predicted class is the most probable one.

    Returns
    -------
    dict
        The fields of `Rates`, `auc`, `confusion` (nested lists) and `ci95`: [lower, upper] or None for accuracy,
        sensitivity, specificity, precision (Wilson) and auc (DeLong). With more than two classes the rates are means of
        shares, for which no such interval exists; only accuracy has one then.
    """
    truth, scores = checked_scores(labels, probabilities)
    classes = scores.shape[1]
    matrix = confusion_matrix(truth, scores.argmax(axis=1), classes)
    found = rates(matrix)
    parts = {"accuracy": (found.correct, found.total)}
    if classes == 2:
        true_negative, false_positive, false_negative, true_positive = (int(count) for count in matrix.ravel())
        parts["sensitivity"] = (true_positive, true_positive + false_negative)
        parts["specificity"] = (true_negative, true_negative + false_positive)
        parts["precision"] = (true_positive, true_positive + false_positive)
    intervals: dict[str, list[float] | None] = {
        name: _as_list(wilson_interval(*parts[name])) if name in parts else None
        for name in ("accuracy", "sensitivity", "specificity", "precision")
    }
    intervals["auc"] = _as_list(auc_interval(truth, scores))
    return {**asdict(found), "auc": auc(truth, scores), "confusion": matrix.tolist(), "ci95": intervals}


def _one_vs_rest(matrix: NDArray[np.int64], index: int) -> dict[str, float | None]:
    """Return the rates of one class against all others."""
    hits = int(matrix[index, index])
    missed = int(matrix[index].sum()) - hits
    false_alarms = int(matrix[:, index].sum()) - hits
    rest = int(matrix.sum()) - hits - missed - false_alarms
    return {
        "sensitivity": _share(hits, hits + missed),
        "specificity": _share(rest, rest + false_alarms),
        "precision": _share(hits, hits + false_alarms),
        "f1": _share(2 * hits, 2 * hits + missed + false_alarms),
    }


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _mean(values: list[float | None]) -> float | None:
    """Return the mean with None as 0, or None for an empty list."""
    return float(np.mean([value or 0.0 for value in values])) if values else None


def _as_list(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
