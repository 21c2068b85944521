"""How often a model ranks an image of a class above one of another: an AUC that hospitals can add up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from common.evaluation.roc import binary_roc, checked_scores, scored_classes


@dataclass(frozen=True, eq=False)
class RankedPairs:
    """Pairs of an image of a class and one of another, per class, and in how many the score orders them.

    A sum over hospitals counts the pairs within each: two hospitals' scores never meet. So the AUC of the sum is the
    mean of the hospitals' own, weighted by their pairs, which also does not reward a model for telling hospitals apart.

    Attributes
    ----------
    ordered : ndarray of float64, shape (classes,)
        Pairs whose image of the class has the higher score; a tie counts one half.
    pairs : ndarray of float64, shape (classes,)
        All pairs: as floats, since a product of two counts of a hospital that lies overflows integers.
    """

    ordered: NDArray[np.float64]
    pairs: NDArray[np.float64]

    @classmethod
    def from_scores(cls, labels: ArrayLike, probabilities: ArrayLike) -> Self:
        """Rank images; shapes and ranges as in `roc_curve`."""
        truth, scores = checked_scores(labels, probabilities)
        of_class = np.bincount(truth, minlength=scores.shape[1])
        areas = [
            binary_roc(truth == index, scores[:, index]).area() if 0 < of_class[index] < len(truth) else 0.0
            for index in scored_classes(len(of_class))
        ]
        return cls.from_areas(areas, of_class)

    @classmethod
    def from_areas(cls, areas: Sequence[float], images: NDArray[np.int64]) -> Self:
        """Rebuild from `areas` and the number of images of each class; raises `ValueError` for what cannot be."""
        scored = list(scored_classes(len(images)))
        if len(areas) != len(scored) or not all(0 <= area <= 1 for area in areas):
            raise ValueError(f"the areas of {len(images)} classes are {len(scored)} numbers from 0 to 1")
        counts = images.astype(np.float64)
        pairs = counts * (counts.sum() - counts)
        shares = np.zeros(len(images))
        # Of two classes one score says all: the other's is its mirror image.
        shares[:] = areas[0] if len(images) == 2 else areas
        return cls(shares * pairs, pairs)

    def areas(self) -> list[float]:
        """Return the share of ordered pairs of each class whose ranking counts; 0 where there is no pair.

        To nine digits after the point, so that a share comes back as it went in.
        """
        scored = list(scored_classes(len(self.pairs)))
        return [round(float(self.ordered[index] / max(self.pairs[index], 1)), 9) for index in scored]

    def auc(self) -> float | None:
        """Return the mean of `areas` over the classes that have pairs; None where none has."""
        found = [
            area for area, index in zip(self.areas(), scored_classes(len(self.pairs)), strict=True) if self.pairs[index]
        ]
        return float(np.mean(found)) if found else None

    def __add__(self, other: Self) -> Self:
        return type(self)(self.ordered + other.ordered, self.pairs + other.pairs)
