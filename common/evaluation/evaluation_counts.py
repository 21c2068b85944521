"""How good a model is on some images, as counts that can be summed over hospitals and hold no patient's score."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Self

import numpy as np
from numpy.typing import NDArray

from common.dataset.records import ImageRecord
from common.evaluation.metrics import confusion_matrix, mean_log_loss
from common.evaluation.ranked_pairs import RankedPairs
from common.evaluation.score_histogram import ScoreHistogram


@dataclass(frozen=True)
class EvaluationCounts:
    """Counts, a score histogram, ranked pairs and the mean loss of one model on one set of images.

    Attributes
    ----------
    loss : float
        Mean negative log-likelihood in nats; 0 without images.
    confusion : ndarray of int64, shape (classes, classes)
        Rows: true class; columns: predicted.
    histogram : ScoreHistogram
        Binned class probabilities, enough for a ROC curve.
    ranking : RankedPairs
        Enough for the AUC, also where bins are merged.
    """

    loss: float
    confusion: NDArray[np.int64]
    histogram: ScoreHistogram
    ranking: RankedPairs

    @classmethod
    def of(cls, records: Sequence[ImageRecord], probabilities: NDArray[np.float64], bins: int) -> Self:
        """Evaluate predictions of shape (N, classes) for the given records."""
        labels = np.array([record.label for record in records], dtype=np.int64)
        classes = probabilities.shape[1]
        return cls(
            loss=mean_log_loss(labels, probabilities) if len(labels) else 0.0,
            confusion=confusion_matrix(labels, probabilities.argmax(axis=1), classes),
            histogram=ScoreHistogram.from_scores(labels, probabilities, bins),
            ranking=RankedPairs.from_scores(labels, probabilities),
        )

    def __add__(self, other: Self) -> Self:
        """Return the counts of two hospitals' images together."""
        images = self.images + other.images
        loss = (self.loss * self.images + other.loss * other.images) / images if images else 0.0
        return type(self)(
            loss, self.confusion + other.confusion, self.histogram + other.histogram, self.ranking + other.ranking
        )

    @classmethod
    def pool(cls, counts: Iterable[Self]) -> Self | None:
        """Add up the counts of any number of hospitals; None for none."""
        listed = list(counts)
        return reduce(add, listed) if listed else None

    @property
    def images(self) -> int:
        """Number of evaluated images."""
        return int(self.confusion.sum())

    @property
    def standard_error(self) -> float:
        """Standard error of `loss` over images, as far as the histogram's bins tell it; 0 for fewer than two images."""
        return standard_error_of(self.images_of_bins)

    @property
    def images_of_bins(self) -> NDArray[np.int64]:
        """Number of images by the bin of their own class's probability."""
        # Each image once: in the histogram of its own class.
        return np.asarray(self.histogram.counts[:, 1].sum(axis=0))

    @property
    def correct(self) -> int:
        """Number of images whose class was predicted."""
        return int(self.confusion.trace())

    @property
    def accuracy(self) -> float | None:
        """Share of images whose class was predicted; None without images."""
        return self.correct / self.images if self.images else None


def standard_error_of(images: NDArray[np.integer] | NDArray[np.floating]) -> float:
    """Return the standard error of the mean loss of images, which may have weights, by the bins of their scores."""
    total = images.sum()
    if total < 2:
        return 0.0
    loss_of_bin = -np.log((np.arange(len(images)) + 0.5) / len(images))
    deviations = loss_of_bin - np.average(loss_of_bin, weights=images)
    return float(np.sqrt(images @ deviations**2 / (total - 1) / total))
