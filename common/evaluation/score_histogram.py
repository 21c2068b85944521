"""Score histograms: enough for a ROC curve, and hospitals can add them up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.evaluation.roc import RocCurve, binned_roc, checked_scores, mean_roc, scored_classes

# No hospital has more images, and the sum over hospitals must not overflow int64.
LARGEST_COUNT = 2**31 - 1


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """Counts of images over equal-width bins of the predicted probability, per class.

    Hospitals send these instead of scores; the sum over hospitals gives a global ROC curve and AUC. A positive and a
    negative in different bins are ordered as their scores order them; a pair that shares a bin counts one half, where
    its scores say 0, 1/2 or 1. So the binned AUC differs from the exact one by at most half the share of pairs that
    share a bin. A bin with a count of one is one image's score to within 1 / bins: before a
    histogram leaves a hospital, `client.rules.score_release` merges such bins.

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
        """Rebuild a histogram from `to_list`; raises `ValueError` for a list that cannot be one."""
        if classes < 2 or not values or len(values) % (2 * classes):
            raise ValueError(f"{len(values)} counts do not make a score histogram of {classes} classes")
        if not all(type(value) is int and 0 <= value <= LARGEST_COUNT for value in values):
            raise ValueError(f"a score histogram holds whole numbers from 0 to {LARGEST_COUNT}")
        return cls(np.array(values, dtype=np.int64).reshape(classes, 2, -1))

    def to_list(self) -> list[int]:
        """Return the counts as a flat list in C order (class, then others / own, then bin)."""
        return [int(value) for value in self.counts.ravel()]

    def __add__(self, other: Self) -> Self:
        if self.counts.shape != other.counts.shape:
            raise ValueError(f"score histograms of shapes {self.counts.shape} and {other.counts.shape} do not add up")
        return type(self)(self.counts + other.counts)

    def roc(self) -> RocCurve | None:
        """Return the curve of `roc_curve`, with one point per bin border."""
        return mean_roc([binned_roc(negative, positive) for negative, positive in self._rankable()])

    def auc(self) -> float | None:
        """Return the area under `roc`; None when all images are of one class."""
        curve = self.roc()
        return None if curve is None else curve.area()

    def _rankable(self) -> Iterable[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yield (others, own) of every class that has a pair to rank."""
        for index in scored_classes(len(self.counts)):
            negative, positive = self.counts[index]
            if negative.any() and positive.any():
                yield negative, positive
