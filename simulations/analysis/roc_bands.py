"""ROC curves with their uncertainty: the mean of the folds' curves, and a band from resamples of patients."""

import numpy as np
from numpy.typing import NDArray

from common.evaluation.roc import RocCurve, mean_roc, roc_curve
from common.statistics.bootstrap import Bootstrap
from simulations.analysis.predictions import Predictions

_DRAWS = 200
_GRID = np.linspace(0, 1, 101)

Floats = NDArray[np.float64]


def mean_curve(predictions: Predictions) -> RocCurve | None:
    """Return the mean of the curves of every fold of every set; None if no fold has two classes.

    Scores of different folds come from different models and are not ranked against each other. Every curve weighs the
    same, where the AUC of the summary weighs a fold by its pairs: with unequal folds the two differ in the third
    decimal.
    """
    curves = [
        roc_curve(predictions.labels[of_fold], predictions.probabilities[one][of_fold])
        for one, of_fold in _folds(predictions)
    ]
    return mean_roc([curve for curve in curves if curve is not None])


def roc_band(predictions: Predictions) -> tuple[Floats, Floats, Floats]:
    """Return the pointwise 95 % interval of `mean_curve` by the bootstrap over patients (percentiles).

    Each draw of patients averages the folds' curves vertically. The draws are the same every time a report is drawn.

    Returns
    -------
    grid, low, high : ndarray of float64, shape (101,)
        False positive rates, and the limits of the true positive rate there. Without a curve the limits are NaN.

    References
    ----------
    T. Fawcett (2006). An introduction to ROC analysis. Pattern Recognition Letters 27, 861-874, section 8 (vertical
    averaging).
    """
    weights = Bootstrap.draw(predictions.patients, _DRAWS).weights
    total, curves = np.zeros((_DRAWS, _GRID.size)), np.zeros((_DRAWS, 1))
    classes = predictions.probabilities.shape[2]
    for one, of_fold in _folds(predictions):
        labels, share = predictions.labels[of_fold], weights[:, of_fold]
        for index in (1,) if classes == 2 else range(classes):
            heights = _heights(labels == index, predictions.probabilities[one][of_fold][:, index], share)
            usable = np.isfinite(heights[:, :1])
            total += np.where(usable, heights, 0)
            curves += usable
    heights = total / np.where(curves > 0, curves, np.nan)
    if not np.isfinite(heights).any():
        return _GRID, np.full(_GRID.size, np.nan), np.full(_GRID.size, np.nan)
    low, high = np.nanpercentile(heights, [2.5, 97.5], axis=0)
    return _GRID, low, high


def _folds(predictions: Predictions) -> list[tuple[int, NDArray[np.bool_]]]:
    """Return (set, images) of every fold of every set."""
    return [
        (one, predictions.folds[one] == fold)
        for one in range(len(predictions.folds))
        for fold in np.unique(predictions.folds[one])
    ]


def _heights(relevant: NDArray[np.bool_], scores: Floats, weights: Floats) -> Floats:
    """Return the true positive rate over the grid for each draw; NaN where a draw lacks a class."""
    order = np.argsort(-scores, kind="stable")
    # Equal scores are one point of the curve: only the last of them counts.
    last = np.append(np.diff(scores[order]) != 0, True) if scores.size else np.zeros(0, dtype=bool)
    positive = np.cumsum(weights[:, order] * relevant[order], axis=1)[:, last]
    negative = np.cumsum(weights[:, order] * ~relevant[order], axis=1)[:, last]
    heights = np.full((len(weights), _GRID.size), np.nan)
    for draw in range(len(weights)):
        if positive.shape[1] and positive[draw, -1] > 0 and negative[draw, -1] > 0:
            x = np.append(0, negative[draw] / negative[draw, -1])
            y = np.append(0, positive[draw] / positive[draw, -1])
            heights[draw] = np.interp(_GRID, x, y)
    return heights
