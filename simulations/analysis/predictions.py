"""The predictions of one arm for all tested images, as the statistics take them: every repeat, every model."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one way of training says about N tested images, in S complete sets of predictions.

    A set holds exactly one prediction an image: one repeat of the cross-validation, or one repeat of one hospital's
    model. Any metric of the arm is the mean over its sets; all panels of a study list the same images in the same
    order, so that one draw of patients serves them all.

    Attributes
    ----------
    images, sites, patients : ndarray of str, shape (N,)
        Name, hospital and patient of each image; one name is one patient, also where two hospitals know him.
    labels : ndarray of int64, shape (N,)
        True classes.
    repeats : ndarray of int64, shape (S,)
        Which repeat each set belongs to.
    folds : ndarray of int64, shape (S, N)
        Which fold's model made each prediction. Scores of different models are not ranked against each other.
    probabilities : ndarray of float64, shape (S, N, classes)
        Rows add up to 1.
    """

    images: NDArray[np.str_]
    sites: NDArray[np.str_]
    patients: NDArray[np.str_]
    labels: NDArray[np.int64]
    repeats: NDArray[np.int64]
    folds: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Most probable class, shape (S, N)."""
        return np.asarray(self.probabilities.argmax(axis=2), dtype=np.int64)

    def of_images(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the panel of some images, such as one hospital's; `chosen` has shape (N,)."""
        return replace(
            self,
            images=self.images[chosen],
            sites=self.sites[chosen],
            patients=self.patients[chosen],
            labels=self.labels[chosen],
            folds=self.folds[:, chosen],
            probabilities=self.probabilities[:, chosen],
        )

    def of_sets(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the panel of some sets; `chosen` has shape (S,)."""
        return replace(
            self, repeats=self.repeats[chosen], folds=self.folds[chosen], probabilities=self.probabilities[chosen]
        )

    def of_repeat(self, repeat: int) -> Self:
        """Return the panel of one repeat."""
        return self.of_sets(self.repeats == repeat)
