"""ROC curves with their uncertainty: the mean of the models' curves, and a band from resamples of patients."""

import numpy as np
from numpy.typing import NDArray

from common.evaluation.metrics import nan_mean
from common.evaluation.roc import RocCurve, binary_roc, mean_roc, scored_classes
from common.statistics.bootstrap import Bootstrap
from simulations.analysis.predictions import Predictions

_DRAWS = 200
_GRID = np.linspace(0, 1, 101)

Floats = NDArray[np.float64]


def mean_curve(predictions: Predictions) -> RocCurve | None:
    """Return the mean of the curves of every model of every set; None if no model was tested by two classes.

    Scores of different models are not ranked against each other. Within a set a curve weighs as much as it has pairs
    of a positive and a negative image, and all sets weigh the same, as in the AUC of the summary.
    """
    by_class = []
    for index in scored_classes(predictions.probabilities.shape[2]):
        by_set = [_curve_of_set(predictions, one, index) for one in range(len(predictions.models))]
        if curve := mean_roc([curve for curve in by_set if curve]):
            by_class.append(curve)
    return mean_roc(by_class)


def _curve_of_set(predictions: Predictions, one: int, index: int) -> RocCurve | None:
    curves, pairs = [], []
    for chosen in _models(predictions, one):
        relevant = predictions.labels[chosen] == index
        if relevant.any() and not relevant.all():
            curves.append(binary_roc(relevant, predictions.probabilities[one][chosen][:, index]))
            pairs.append(float(relevant.sum() * (~relevant).sum()))
    return mean_roc(curves, pairs)


def roc_band(predictions: Predictions) -> tuple[Floats, Floats, Floats]:
    """Return the pointwise 95 % interval of `mean_curve` by the bootstrap over patients (percentiles).

    Each draw of patients averages the models' curves vertically: within a set weighed by their pairs in that draw, and
    the sets alike. The draws are the same every time a report is drawn.

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
    by_class = []
    for index in scored_classes(predictions.probabilities.shape[2]):
        by_set = [_heights_of_set(predictions, one, index, weights) for one in range(len(predictions.models))]
        by_class.append(nan_mean(np.stack(by_set), axis=0))
    heights = nan_mean(np.stack(by_class), axis=0)
    if not np.isfinite(heights).any():
        return _GRID, np.full(_GRID.size, np.nan), np.full(_GRID.size, np.nan)
    low, high = np.nanpercentile(heights, [2.5, 97.5], axis=0)
    return _GRID, low, high


def _models(predictions: Predictions, one: int) -> list[NDArray[np.bool_]]:
    """Return the images of every model of a set."""
    return [predictions.models[one] == model for model in np.unique(predictions.models[one])]


def _heights_of_set(predictions: Predictions, one: int, index: int, weights: Floats) -> Floats:
    total, pairs = np.zeros((len(weights), _GRID.size)), np.zeros((len(weights), 1))
    for chosen in _models(predictions, one):
        relevant, share = predictions.labels[chosen] == index, weights[:, chosen]
        heights = _heights(relevant, predictions.probabilities[one][chosen][:, index], share)
        ranked = (share[:, relevant].sum(axis=1) * share[:, ~relevant].sum(axis=1))[:, None]
        total += ranked * np.nan_to_num(heights)
        pairs += ranked
    return np.asarray(total / np.where(pairs > 0, pairs, np.nan))


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
