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

    Scores of different models are not ranked against each other. A curve weighs as much as it has pairs of a positive
    and a negative image, as in the AUC of the summary.
    """
    by_class = []
    for index in scored_classes(predictions.probabilities.shape[2]):
        curves, pairs = [], []
        for one, chosen in _models(predictions):
            relevant = predictions.labels[chosen] == index
            if relevant.any() and not relevant.all():
                curves.append(binary_roc(relevant, predictions.probabilities[one][chosen][:, index]))
                pairs.append(float(relevant.sum() * (~relevant).sum()))
        if curve := mean_roc(curves, pairs):
            by_class.append(curve)
    return mean_roc(by_class)


def roc_band(predictions: Predictions) -> tuple[Floats, Floats, Floats]:
    """Return the pointwise 95 % interval of `mean_curve` by the bootstrap over patients (percentiles).

    Each draw of patients averages the models' curves vertically, weighed by their pairs in that draw. The draws are the
    same every time a report is drawn.

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
        total, pairs = np.zeros((_DRAWS, _GRID.size)), np.zeros((_DRAWS, 1))
        for one, chosen in _models(predictions):
            relevant, share = predictions.labels[chosen] == index, weights[:, chosen]
            heights = _heights(relevant, predictions.probabilities[one][chosen][:, index], share)
            ranked = (share[:, relevant].sum(axis=1) * share[:, ~relevant].sum(axis=1))[:, None]
            total += ranked * np.nan_to_num(heights)
            pairs += ranked
        by_class.append(total / np.where(pairs > 0, pairs, np.nan))
    heights = nan_mean(np.stack(by_class), axis=0)
    if not np.isfinite(heights).any():
        return _GRID, np.full(_GRID.size, np.nan), np.full(_GRID.size, np.nan)
    low, high = np.nanpercentile(heights, [2.5, 97.5], axis=0)
    return _GRID, low, high


def _models(predictions: Predictions) -> list[tuple[int, NDArray[np.bool_]]]:
    """Return (set, images) of every model of every set."""
    return [
        (one, predictions.models[one] == model)
        for one in range(len(predictions.models))
        for model in np.unique(predictions.models[one])
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
