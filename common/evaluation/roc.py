"""ROC curves and AUC: from scores, or from histograms that hospitals can add up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class RocCurve:
    """A ROC curve as points, from (0, 0) to (1, 1), joined by straight lines.

    Attributes
    ----------
    false_positive_rate, true_positive_rate : ndarray of float64, shape (points,)
        Both in [0, 1] and never falling.
    """

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]

    def area(self) -> float:
        """Return the area under the curve (trapezoids: a tie between a positive and a negative counts one half)."""
        x, y = self.false_positive_rate, self.true_positive_rate
        return float((np.diff(x) * (y[1:] + y[:-1]) / 2).sum())


def mean_roc(curves: Sequence[RocCurve], weights: Sequence[float] | None = None) -> RocCurve | None:
    """Average curves vertically, exactly: the area of the mean is the mean of the areas.

    `weights` are above 0, one per curve; without them all weigh the same. None where there is no curve.

    A ROC curve has upright steps, where one false positive rate has two true positive rates. Plain interpolation picks
    one of them; here each rate of the common grid keeps the limit from the left and the one from the right.
    """
    if not curves:
        return None
    grid = np.unique(np.concatenate([curve.false_positive_rate for curve in curves]))
    left, right = np.zeros_like(grid), np.zeros_like(grid)
    shares = np.full(len(curves), 1.0) if weights is None else np.asarray(weights, dtype=np.float64)
    for curve, share in zip(curves, shares / shares.sum(), strict=True):
        x, y = curve.false_positive_rate, curve.true_positive_rate
        before, after = np.searchsorted(x, grid, side="right") - 1, np.searchsorted(x, grid, side="left")
        gap = x[after] - x[before]
        inside = y[before] + (y[after] - y[before]) * (grid - x[before]) / np.where(gap > 0, gap, 1)
        left += share * np.where(gap > 0, inside, y[after])
        right += share * np.where(gap > 0, inside, y[before])
    means = np.stack([left, right], axis=1).ravel()
    start = np.zeros(1)
    return RocCurve(np.concatenate([start, np.repeat(grid, 2)]), np.concatenate([start, means]))


def roc_curve(labels: ArrayLike, probabilities: ArrayLike) -> RocCurve | None:
    """Return the ROC curve of class 1 (two classes), or the mean of the one-vs-rest curves (more than two).

    Parameters
    ----------
    labels : array_like of int, shape (images,)
        In [0, classes).
    probabilities : array_like of float, shape (images, classes)
        In [0, 1].

    Returns
    -------
    RocCurve or None
        None when all images are of one class. Classes that no image has are left out of the mean.
    """
    truth, scores = checked_scores(labels, probabilities)
    curves = []
    for index in scored_classes(scores.shape[1]):
        relevant = truth == index
        if relevant.any() and not relevant.all():
            curves.append(binary_roc(relevant, scores[:, index]))
    return mean_roc(curves)


def auc(labels: ArrayLike, probabilities: ArrayLike) -> float | None:
    """Return the area under `roc_curve`: of class 1, or the macro one-vs-rest mean; None with one class only."""
    curve = roc_curve(labels, probabilities)
    return None if curve is None else curve.area()


def binary_roc(positive: NDArray[np.bool_], scores: NDArray[np.float64]) -> RocCurve:
    """Return the ROC curve of one class against the rest: one point per distinct score, without collinear points.

    The points are those of `sklearn.metrics.roc_curve` (a test compares them), whose import takes over a second and
    100 MB in each of the processes that only need this.
    """
    order = np.argsort(-scores, kind="stable")
    last_of_ties = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    true_positives = np.cumsum(positive[order], dtype=np.float64)[last_of_ties]
    false_positives = 1.0 + last_of_ties - true_positives
    if len(last_of_ties) > 2:
        is_corner = (np.diff(false_positives, 2) != 0) | (np.diff(true_positives, 2) != 0)
        kept = np.concatenate([[True], is_corner, [True]])
        true_positives, false_positives = true_positives[kept], false_positives[kept]
    return RocCurve(
        np.concatenate([[0.0], false_positives]) / false_positives[-1],
        np.concatenate([[0.0], true_positives]) / true_positives[-1],
    )


def binned_roc(negative: NDArray[np.int64], positive: NDArray[np.int64]) -> RocCurve:
    """Return the ROC curve of counts over bins of the score, lowest first, with one point per border; no side is empty.

    A pair in one bin counts one half.
    """
    x, y = (np.concatenate([[0], np.cumsum(side[::-1])]) / side.sum() for side in (negative, positive))
    return RocCurve(x, y)


def checked_scores(labels: ArrayLike, probabilities: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return labels and probabilities as arrays that fit each other, or say what does not.

    Raises
    ------
    ValueError
        For shapes that do not fit, a label outside [0, classes), or a probability that is not finite or not in [0, 1]
        (rounding of narrow floats is forgiven and clipped).
    """
    scores = np.asarray(probabilities, dtype=np.float64)
    truth = np.asarray(labels, dtype=np.int64)
    if scores.ndim != 2 or scores.shape[1] < 2 or truth.shape != scores.shape[:1]:
        raise ValueError(f"labels of shape {truth.shape} do not fit probabilities of shape {scores.shape}")
    if truth.size and not (truth.min() >= 0 and truth.max() < scores.shape[1]):
        raise ValueError(f"a label is outside 0 to {scores.shape[1] - 1}")
    if not np.isfinite(scores).all() or (scores < -1e-3).any() or (scores > 1 + 1e-3).any():
        raise ValueError("a probability is not a number from 0 to 1")
    return truth, scores.clip(0, 1)


def scored_classes(classes: int) -> Iterable[int]:
    """Return the classes whose ranking counts: of two, the second says all; of more, each against the rest."""
    return (1,) if classes == 2 else range(classes)
