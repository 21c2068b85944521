"""The predictions of one arm for all tested images: of every repeat, by every model."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one way of training says about N tested images, in S complete sets of predictions.

    A set holds exactly one prediction per image: of one repeat of the cross-validation, or of one repeat of one
    hospital's model. Any metric of the arm is the mean over its sets. All arms of a study list the same images in the
    same order, so that one draw of patients serves them all.

    Attributes
    ----------
    images, sites, patients : ndarray of str, shape (N,)
        Name, hospital and patient of each image; one name is one patient, also where two hospitals know him.
    labels : ndarray of int64, shape (N,)
        True classes.
    repeats : ndarray of int64, shape (S,)
        Which repeat each set belongs to.
    models : ndarray of int64, shape (S, N)
        Which model made each prediction: that of a fold, and of a hospital where each has its own. Within a set, scores
        of different models are not ranked against each other.
    probabilities : ndarray of float64, shape (S, N, classes)
        Rows add up to 1.
    """

    images: NDArray[np.str_]
    sites: NDArray[np.str_]
    patients: NDArray[np.str_]
    labels: NDArray[np.int64]
    repeats: NDArray[np.int64]
    models: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Most probable class, shape (S, N)."""
        return np.asarray(self.probabilities.argmax(axis=2), dtype=np.int64)

    def of_images(self, chosen: NDArray[np.bool_]) -> Self:
        """Return the predictions for some images, such as one hospital's; `chosen` has shape (N,)."""
        return replace(
            self,
            images=self.images[chosen],
            sites=self.sites[chosen],
            patients=self.patients[chosen],
            labels=self.labels[chosen],
            models=self.models[:, chosen],
            probabilities=self.probabilities[:, chosen],
        )

    def of_sets(self, chosen: NDArray[np.bool_]) -> Self:
        """Return some of the sets; `chosen` has shape (S,)."""
        return replace(
            self, repeats=self.repeats[chosen], models=self.models[chosen], probabilities=self.probabilities[chosen]
        )

    def of_repeat(self, repeat: int) -> Self:
        """Return the predictions of one repeat."""
        return self.of_sets(self.repeats == repeat)

    def aligned_with(self, other: "Predictions") -> Self | None:
        """Return these predictions in the image order of others, or None unless both are of the same images.

        The same means: equal names, labels and patients, and as many classes. Two runs may have dealt the patients out
        to other hospitals; what is returned names those of the others, since a paired test takes no other images.
        """
        place = {name: index for index, name in enumerate(self.images.tolist())}
        same_names = len(place) == len(self.images) == len(other.images) and set(other.images.tolist()) == set(place)
        if not same_names or other.probabilities.shape[2] != self.probabilities.shape[2]:
            return None
        order = np.array([place[name] for name in other.images.tolist()], dtype=np.int64)
        if (other.labels != self.labels[order]).any() or (other.patients != self.patients[order]).any():
            return None
        return replace(
            self,
            images=other.images,
            sites=other.sites,
            patients=other.patients,
            labels=other.labels,
            models=self.models[:, order],
            probabilities=self.probabilities[:, order],
        )
