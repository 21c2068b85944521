"""Calibration: reliability bins and the expected calibration error.

Two classes: P(class 1) against the share of class 1. More: the highest probability of each image against the share of
images whose most probable class is the true one.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10


@dataclass(frozen=True)
class ReliabilityBin:
    """The predictions whose probability lies in [low, high); the last bin holds 1 as well.

    Attributes
    ----------
    low, high : float
        Borders, in [0, 1].
    images : float
        How many; a mean where there are several sets of predictions.
    predicted, observed : float
        Mean predicted probability, and the share of images for which the prediction came true; in [0, 1].
    """

    low: float
    high: float
    images: float
    predicted: float
    observed: float


def weighted_gaps(
    labels: NDArray[np.int64],
    probabilities: NDArray[np.float64],
    weights: NDArray[np.float64],
    bins: int = BINS,
) -> NDArray[np.float64]:
    """Return by how much the predicted probabilities of each bin are too high, times the bin's share of the images.

    The sum of the distances from 0 is the expected calibration error: the mean over images of the distance between
    predicted and observed share in the image's bin. Its value on a sample is biased upwards, since chance alone makes
    the two differ: for 200 images and a perfectly calibrated model it may well be 0.07.

    Parameters
    ----------
    labels : ndarray of int64, shape (N,)
        In [0, classes).
    probabilities : ndarray of float64, shape (N, classes)
        In [0, 1].
    weights : ndarray of float64, shape (B, N)
        At least 0.
    bins : int
        Of equal width.

    Returns
    -------
    ndarray of float64, shape (B, bins)
        In [-1, 1]; NaN where all weights are 0.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger (2017). On calibration of modern neural networks. ICML, section 2.
    """
    predicted, observed = _predicted_and_observed(labels, probabilities)
    members = np.eye(bins)[_bin_of_each(predicted, bins)]
    gaps = weights @ (members * (predicted - observed)[:, None])
    total = np.broadcast_to(weights.sum(axis=1, keepdims=True), gaps.shape)
    shares: NDArray[np.float64] = np.divide(gaps, total, out=np.full_like(gaps, np.nan), where=total > 0)
    return shares


def weighted_calibration_error(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the expected calibration error out of `weighted_gaps`: shape (B,), in [0, 1] or NaN."""
    error: NDArray[np.float64] = np.abs(gaps).sum(axis=1)
    return error


def reliability(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64], bins: int = BINS
) -> list[ReliabilityBin]:
    """Return the bins that are not empty, over S sets of predictions together.

    Parameters
    ----------
    labels : ndarray of int64, shape (N,)
    probabilities : ndarray of float64, shape (S, N, classes)
    bins : int
        Of equal width.
    """
    sets = len(probabilities)
    parts = [_predicted_and_observed(labels, rows) for rows in probabilities]
    predicted = np.concatenate([part[0] for part in parts] or [np.zeros(0)])
    observed = np.concatenate([part[1] for part in parts] or [np.zeros(0)])
    bin_of_each = _bin_of_each(predicted, bins)
    found = []
    for index in np.unique(bin_of_each).tolist():
        inside = bin_of_each == index
        found.append(
            ReliabilityBin(
                low=index / bins,
                high=(index + 1) / bins,
                images=float(inside.sum() / sets),
                predicted=float(predicted[inside].mean()),
                observed=float(observed[inside].mean()),
            )
        )
    return found


def _predicted_and_observed(
    labels: NDArray[np.int64], probabilities: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the predicted probability of each image, and 1 where the prediction came true, else 0."""
    if probabilities.shape[1] == 2:
        return probabilities[:, 1], (labels == 1).astype(np.float64)
    return probabilities.max(axis=1), (labels == probabilities.argmax(axis=1)).astype(np.float64)


def _bin_of_each(predicted: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    return np.minimum((predicted * bins).astype(np.int64), bins - 1)
