"""The metrics of predictions, as they are and in every resample of its patients, and their intervals.

A metric of an arm is the mean over its sets of predictions (`predictions.Predictions`). Estimate and interval come from
one function of the images' weights.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from common.evaluation.metrics import RATES, nan_mean, rates_of_confusions, weighted_confusions
from common.evaluation.weighted_auc import weighted_auc
from common.statistics.bootstrap import Bootstrap
from common.statistics.calibration import weighted_calibration_error, weighted_gaps
from common.statistics.intervals import (
    EffectiveSizes,
    calibration_error_interval,
    resampled_auc_interval,
    resampled_share_interval,
)
from common.statistics.patients import sum_by_patient
from simulations.analysis.predictions import Predictions

RESAMPLED_METRICS = (*RATES, "auc", "ece")


@dataclass(frozen=True, eq=False)
class ResampledMetrics:
    """The metrics of predictions: the estimates first, then one value for each resample.

    Attributes
    ----------
    metrics : dict of str to ndarray of float64, shape (1 + B,)
        By the names in `RESAMPLED_METRICS`; NaN where a metric is undefined.
    confusion : ndarray of float64, shape (classes, classes)
        Mean over sets.
    noise : ndarray of float64, shape (1 + B,)
        How far each resample's calibration gaps are from the estimated ones, summed over bins.
    """

    metrics: dict[str, NDArray[np.float64]]
    confusion: NDArray[np.float64]
    noise: NDArray[np.float64]

    def estimate(self, name: str) -> float | None:
        """Return a metric, or None where it is undefined."""
        value = float(self.metrics[name][0])
        return None if np.isnan(value) else value


@lru_cache(maxsize=16)
def resample(predictions: Predictions, bootstrap: Bootstrap | None) -> ResampledMetrics:
    """Return the metrics of predictions at weights of one, and at those of each resample.

    The metrics, the differences and the gaps of a study ask for those of the same arms: what was resampled last is
    kept. Predictions and bootstrap are told apart by identity.

    Raises
    ------
    ValueError
        When the bootstrap is of other patients.
    """
    weights = np.ones((1, len(predictions.labels)))
    if bootstrap is not None:
        if not np.array_equal(bootstrap.patients, predictions.patients):
            raise ValueError("the bootstrap drew other patients than those of the predictions")
        weights = np.concatenate([weights, bootstrap.weights])
    classes = predictions.probabilities.shape[2]
    sets: dict[str, list[NDArray[np.float64]]] = {name: [] for name in RESAMPLED_METRICS}
    confusions, noises = [], []
    for predicted, probabilities, models in zip(
        predictions.predicted, predictions.probabilities, predictions.models, strict=True
    ):
        counts = weighted_confusions(predictions.labels, predicted, classes, weights)
        gaps = weighted_gaps(predictions.labels, probabilities, weights)
        for name, rate in rates_of_confusions(counts).items():
            sets[name].append(rate)
        sets["auc"].append(weighted_auc(predictions.labels, probabilities, models, weights))
        sets["ece"].append(weighted_calibration_error(gaps))
        confusions.append(counts[0])
        noises.append(np.abs(gaps - gaps[0]).sum(axis=1))
    metrics = {name: nan_mean(np.stack(values), axis=0) for name, values in sets.items()}
    return ResampledMetrics(metrics, np.mean(confusions, axis=0), nan_mean(np.stack(noises), axis=0))


def interval_of(predictions: Predictions, resampled: ResampledMetrics, name: str) -> tuple[float, float] | None:
    """Return the 95 % interval of one metric; None where the metric is undefined."""
    value = resampled.estimate(name)
    if value is None:
        return None
    draws = resampled.metrics[name][1:]
    if name == "auc":
        return resampled_auc_interval(value, draws, *_patients_to_rank(predictions))
    if name == "ece":
        return calibration_error_interval(value, draws, resampled.noise[1:])
    return resampled_share_interval(value, draws, _effective_sizes(predictions, name))


def _effective_sizes(predictions: Predictions, name: str) -> EffectiveSizes:
    """Return the effective numbers of predictions behind a rate.

    The F1 score is a share of true positives, counted twice, and errors. A mean over more than two classes is at least
    as precise as the rate of the class with the fewest patients.
    """
    predicted = predictions.predicted
    labels = np.broadcast_to(predictions.labels, predicted.shape)
    if name == "accuracy":
        return _sizes(predictions, np.ones(labels.shape))
    if predictions.probabilities.shape[2] > 2:
        return _sizes(predictions, labels == _rarest_class(predictions), most=labels.size)
    counted = {
        "sensitivity": labels == 1,
        "specificity": labels == 0,
        "precision": predicted == 1,
        "f1": (labels == 1).astype(np.int64) + (predicted == 1),
    }
    return _sizes(predictions, counted[name])


def _sizes(predictions: Predictions, counted: NDArray[np.generic], most: float | None = None) -> EffectiveSizes:
    """Return the sizes of predictions that are counted so often, shape (S, N)."""
    return EffectiveSizes.of_predictions(sum_by_patient(counted.sum(axis=0), predictions.patients), most)


def _rarest_class(predictions: Predictions) -> int:
    """Return the class, of those that occur, with the fewest patients."""
    patients = {
        int(label): np.unique(predictions.patients[predictions.labels == label]).size
        for label in np.unique(predictions.labels)
    }
    return min(patients, key=lambda label: patients[label])


def _patients_to_rank(predictions: Predictions) -> tuple[int, int]:
    """Return the number of patients with an image of the positive (of several: the rarest) class, and of another."""
    positive = predictions.labels == (1 if predictions.probabilities.shape[2] == 2 else _rarest_class(predictions))
    return np.unique(predictions.patients[positive]).size, np.unique(predictions.patients[~positive]).size
