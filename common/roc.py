"""ROC curves and AUC: from scores, or from histograms that hospitals can add up without showing a single score."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics as sklearn_metrics

# Counts of more images than this cannot be honest, and their sum over hospitals must not overflow int64.
_LARGEST_COUNT = 2**31 - 1


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
        return float(sklearn_metrics.auc(self.false_positive_rate, self.true_positive_rate))


def mean_roc(curves: Sequence[RocCurve]) -> RocCurve | None:
    """Average curves vertically, exactly: the area of the mean is the mean of the areas.

    A ROC curve has upright steps, where one false positive rate has two true positive rates. Plain interpolation picks
    one of them; here each rate of the common grid keeps the limit from the left and the one from the right.
    """
    if not curves:
        return None
    grid = np.unique(np.concatenate([curve.false_positive_rate for curve in curves]))
    left, right = np.zeros_like(grid), np.zeros_like(grid)
    for curve in curves:
        x, y = curve.false_positive_rate, curve.true_positive_rate
        before, after = np.searchsorted(x, grid, side="right") - 1, np.searchsorted(x, grid, side="left")
        gap = x[after] - x[before]
        inside = y[before] + (y[after] - y[before]) * (grid - x[before]) / np.where(gap > 0, gap, 1)
        left += np.where(gap > 0, inside, y[after])
        right += np.where(gap > 0, inside, y[before])
    means = np.stack([left, right], axis=1).ravel() / len(curves)
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
            x, y, _ = sklearn_metrics.roc_curve(relevant, scores[:, index])
            curves.append(RocCurve(x, y))
    return mean_roc(curves)


def auc(labels: ArrayLike, probabilities: ArrayLike) -> float | None:
    """Return the area under `roc_curve`: of class 1, or the macro one-vs-rest mean; None with one class only."""
    curve = roc_curve(labels, probabilities)
    return None if curve is None else curve.area()


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """Counts of images over equal-width bins of the predicted probability, per class.

    Hospitals send these instead of scores; the sum over hospitals gives a global ROC curve and AUC. A positive and a
    negative in different bins are ordered as their scores order them; a pair that shares a bin counts one half, where
    its scores say 0, 1/2 or 1. So the binned AUC differs from the exact one by at most half the share of pairs that
    share a bin: `auc_error`. A bin with a count of one still places one unnamed image's score within 1 / bins; a
    hospital that minds takes fewer bins.

    Attributes
    ----------
    counts : ndarray of int64, shape (classes, 2, bins)
        Over the bins of P(class c) in [0, 1]: `[c, 0]` images of other classes, `[c, 1]` images of class c.
    """

    counts: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.counts.ndim != 3 or self.counts.shape[0] < 2 or self.counts.shape[1] != 2 or self.counts.shape[2] < 1:
            raise ValueError(f"a score histogram has the shape (classes >= 2, 2, bins), not {self.counts.shape}")
        if (self.counts < 0).any():
            raise ValueError("a score histogram has a negative count")
        totals = self.counts.sum(axis=(1, 2))
        if (totals != totals[0]).any() or self.counts[:, 1].sum() != totals[0]:
            raise ValueError("the classes of a score histogram do not count the same images")

    @classmethod
    def from_scores(cls, labels: ArrayLike, probabilities: ArrayLike, bins: int) -> Self:
        """Count images; a probability of 1 falls into the last bin. Shapes and ranges as in `roc_curve`."""
        truth, scores = checked_scores(labels, probabilities)
        classes = scores.shape[1]
        counts = np.zeros((classes, 2, bins), dtype=np.int64)
        positions = np.minimum((scores * bins).astype(np.int64), bins - 1)
        for index in range(classes):
            np.add.at(counts[index], ((truth == index).astype(np.int64), positions[:, index]), 1)
        return cls(counts)

    @classmethod
    def from_list(cls, values: Sequence[int], classes: int) -> Self:
        """Rebuild a histogram from `to_list`; the list comes from outside, and what cannot be one is a ValueError."""
        if classes < 2 or not values or len(values) % (2 * classes):
            raise ValueError(f"{len(values)} counts do not make a score histogram of {classes} classes")
        if not all(type(value) is int and 0 <= value <= _LARGEST_COUNT for value in values):
            raise ValueError(f"a score histogram holds whole numbers from 0 to {_LARGEST_COUNT}")
        return cls(np.array(values, dtype=np.int64).reshape(classes, 2, -1))

    def to_list(self) -> list[int]:
        """Return the counts as a flat list in C order (class, then others / own, then bin)."""
        return [int(value) for value in self.counts.ravel()]

    def __add__(self, other: Self) -> Self:
        if self.counts.shape != other.counts.shape:
            raise ValueError(f"score histograms of shapes {self.counts.shape} and {other.counts.shape} do not add up")
        return type(self)(self.counts + other.counts)

    def roc(self) -> RocCurve | None:
        """Return the curve that `roc_curve` would, with one point per bin border."""
        curves = []
        for negative, positive in self._rankable():
            x, y = (np.concatenate([[0], np.cumsum(side[::-1])]) / side.sum() for side in (negative, positive))
            curves.append(RocCurve(x, y))
        return mean_roc(curves)

    def auc(self) -> float | None:
        """Return the area under `roc`; None when all images are of one class."""
        curve = self.roc()
        return None if curve is None else curve.area()

    def auc_error(self) -> float | None:
        """Return the largest possible distance of `auc` from the exact AUC, in [0, 0.5]; None when `auc` is None."""
        shares = [
            float((negative / negative.sum() * (positive / positive.sum())).sum())
            for negative, positive in self._rankable()
        ]
        return float(np.mean(shares)) / 2 if shares else None

    def _rankable(self) -> Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield (others, own) of every class for which there is something to rank."""
        for index in scored_classes(len(self.counts)):
            negative, positive = self.counts[index]
            if negative.any() and positive.any():
                yield negative, positive


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
