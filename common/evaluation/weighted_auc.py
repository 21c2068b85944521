"""The AUC within models, for many weightings of the images at once, and what each image adds to it.

Scores of different models are on different scales and are never ranked against each other: the AUC is the share of
concordant pairs (a tie counts one half) among all pairs of a positive and a negative image that one model scored. With
one model this is the AUC; with several it is the mean of the models' AUCs weighted by their pairs. Models differ by
fold, and by hospital where each has its own.

Pairs are counted by sorting, so that time and memory grow with the images and not with their square.

References
----------
E. LeDell, M. Petersen, M. van der Laan (2015). Computationally efficient confidence intervals for cross-validated area
under the ROC curve estimates. Electronic Journal of Statistics 9, 1583-1607.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.evaluation.metrics import nan_mean
from common.evaluation.roc import scored_classes

Floats = NDArray[np.float64]


def weighted_auc(
    labels: NDArray[np.int64], probabilities: Floats, models: NDArray[np.int64], weights: Floats
) -> Floats:
    """Return the AUC within models for each weighting.

    Parameters
    ----------
    labels : ndarray of int64, shape (N,)
        In [0, classes).
    probabilities : ndarray of float64, shape (N, classes)
        With two classes, column 1 is ranked; with more, the AUC is the mean of the one-vs-rest AUCs over the classes
        that have a pair, as in `common.evaluation.roc.auc`.
    models : ndarray of int64, shape (N,)
        Which model made each prediction.
    weights : ndarray of float64, shape (B, N)
        At least 0.

    Returns
    -------
    ndarray of float64, shape (B,)
        In [0, 1], or NaN where no model has a pair.
    """
    areas = []
    by_image = np.ascontiguousarray(weights.T)  # whole rows are picked, which is faster than columns
    for index in scored_classes(probabilities.shape[1]):
        concordant, pairs = np.zeros(len(weights)), np.zeros(len(weights))
        for model in np.unique(models):
            own = np.flatnonzero((models == model) & (labels == index))
            others = np.flatnonzero((models == model) & (labels != index))
            others = others[np.argsort(probabilities[others, index], kind="stable")]
            # The weight of the first k others, for k = 0 ... n.
            below = np.concatenate([np.zeros((1, len(weights))), np.cumsum(by_image[others], axis=0)])
            theirs, mine = probabilities[others, index], probabilities[own, index]
            lower = below[np.searchsorted(theirs, mine, "left")] + below[np.searchsorted(theirs, mine, "right")]
            concordant += (by_image[own] * lower).sum(axis=0) / 2
            pairs += by_image[own].sum(axis=0) * below[-1]
        areas.append(np.divide(concordant, pairs, out=np.full(len(weights), np.nan), where=pairs > 0))
    return nan_mean(np.stack(areas), axis=0)


@dataclass(frozen=True, eq=False)
class RankedClass:
    """How the images of one class are ranked against the others by the models that scored both.

    Attributes
    ----------
    area : float
        The AUC of the class against the rest.
    moves : ndarray of float64, shape (2, N)
        How far each image moves the area from its mean, as an image of the class and as another; each row adds up to 0.
    """

    area: float
    moves: Floats


def ranked_classes(
    labels: NDArray[np.int64], probabilities: Floats, models: NDArray[np.int64]
) -> Iterator[RankedClass]:
    """Rank every image of a class against the others, class by class; a class without a pair is left out.

    Parameters are as in `weighted_auc`, without weights.
    """
    for index in scored_classes(probabilities.shape[1]):
        wins, rivals = np.zeros(len(labels)), np.zeros(len(labels))
        for model in np.unique(models):
            own = np.flatnonzero((models == model) & (labels == index))
            others = np.flatnonzero((models == model) & (labels != index))
            mine, theirs = probabilities[own, index], probabilities[others, index]
            wins[own], rivals[own] = _below(theirs, mine), len(others)
            wins[others], rivals[others] = len(own) - _below(mine, theirs), len(own)
        positive = labels == index
        pairs = rivals[positive].sum()
        if pairs == 0:
            continue
        area = float(wins[positive].sum() / pairs)
        excess = (wins - area * rivals) / pairs
        yield RankedClass(area, np.stack([np.where(positive, excess, 0.0), np.where(positive, 0.0, excess)]))


def _below(some: Floats, values: Floats) -> Floats:
    """Return for each value how many of some others are below it; equal ones count one half."""
    ordered = np.sort(some)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / 2
