"""Bootstrap over patients, from which all intervals of the comparison are computed.

Images of one patient resemble each other, and the repeats of a study test the same patients again. So patients are
drawn, with all their images and all their predictions, and a metric is a function of the images' weights, that is, of
how often each was drawn. The estimate itself is the same function with all weights 1.

The draws do not include the randomness of training: the sets of predictions stay as they are. Repeats average part of
it out of the estimate.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 2000
SEED = 20_240_229


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Resamples of the patients of a test set, as weights of its images.

    Attributes
    ----------
    patients : ndarray of str, shape (N,)
        Patient of each image.
    weights : ndarray of float64, shape (B, N)
        How often each image was drawn: whole numbers, equal for all images of a patient. As many patients are drawn as
        there are, with replacement, whatever their class: the classes' shares vary as they would in new patients.

    References
    ----------
    B. Efron, R. J. Tibshirani (1993). An Introduction to the Bootstrap, chapters 6 and 8. Clusters: C. A. Field, A. H.
    Welsh (2007). Bootstrapping clustered data. Journal of the Royal Statistical Society B 69, 369-390.
    """

    patients: NDArray[np.str_]
    weights: NDArray[np.float64]

    @classmethod
    def draw(cls, patients: ArrayLike, resamples: int = RESAMPLES, seed: int = SEED) -> Self:
        """Draw the resamples; the same patients get the same weights on every machine and in every order of the images.

        Parameters
        ----------
        patients : array_like of str, shape (N,)
            May be empty.
        resamples : int
            B, at least 1.
        seed : int
            Of the draws.
        """
        each = np.asarray(patients, dtype=np.str_)
        names, patient_of_image = np.unique(each, return_inverse=True)
        if len(names) == 0:
            return cls(each, np.zeros((resamples, 0)))
        # RandomState's stream is frozen for good (NEP 19); that of a Generator may change with a release of NumPy.
        drawn = np.random.RandomState(seed).randint(0, len(names), size=(resamples, len(names)), dtype=np.int64)
        rows = np.arange(resamples)[:, None] * len(names)
        counts = np.bincount((drawn + rows).ravel(), minlength=resamples * len(names))
        return cls(each, counts.reshape(resamples, len(names)).astype(np.float64)[:, patient_of_image])
