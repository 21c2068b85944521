"""Tests of two arms against each other on the same patients."""

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray

from common.statistics.bootstrap import Bootstrap
from common.statistics.intervals import difference_interval
from common.statistics.paired_tests import RankedSet, delong_test, mcnemar_test, sign_flip_test
from common.summary.comparison import DeLongRecord, DifferenceRecord, McNemarRecord, PairedTestRecord
from simulations.analysis.predictions import Predictions
from simulations.analysis.resampling import ResampledMetrics, interval_of, resample


def compare_predictions(
    first: Predictions, second: Predictions, bootstrap: Bootstrap, names: tuple[str, str]
) -> PairedTestRecord:
    """Test two arms against each other on the same patients.

    Parameters
    ----------
    first, second : Predictions
        Of the same images in the same order.
    bootstrap : Bootstrap
        Of their patients.
    names : tuple of str
        What to call them.

    Returns
    -------
    PairedTestRecord
        The differences first - second in accuracy (p-value of the sign-flip test by patient) and in AUC (of DeLong's
        test for clustered data), None where there is no AUC, or too few patients for a test; McNemar's and DeLong's
        tests of each repeat in which both arms have just one set.

    Raises
    ------
    ValueError
        When the predictions are of different images, or of none.
    """
    check_same_images(first, second)
    resampled = resample(first, bootstrap), resample(second, bootstrap)
    delong = delong_test(first.labels, _ranked(first), _ranked(second), first.patients)
    p_values = {
        "accuracy": sign_flip_test(_correct(first), _correct(second), first.patients),
        "auc": None if delong is None else delong.p_value,
    }
    return PairedTestRecord(
        first=names[0],
        second=names[1],
        **{name: _difference(first, second, resampled, name, p_value) for name, p_value in p_values.items()},
        mcnemar=_mcnemar_of_repeats(first, second),
        delong=_delong_of_repeats(first, second),
    )


def check_same_images(first: Predictions, second: Predictions) -> None:
    """Check that predictions are of the same images in the same order, and of at least one.

    Raises
    ------
    ValueError
        If they are not.
    """
    same = all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("images", "sites", "patients", "labels")
    )
    if not same or len(first.labels) == 0:
        raise ValueError("arms are compared on the same images in the same order, and on at least one")


def _difference(
    first: Predictions,
    second: Predictions,
    resampled: tuple[ResampledMetrics, ResampledMetrics],
    name: str,
    p_value: float | None,
) -> DifferenceRecord | None:
    one, other = (values.estimate(name) for values in resampled)
    limits, other_limits = interval_of(first, resampled[0], name), interval_of(second, resampled[1], name)
    if p_value is None or one is None or other is None or limits is None or other_limits is None:
        return None
    draws: NDArray[np.float64] = np.stack([values.metrics[name][1:] for values in resampled])
    draws = draws[:, ~np.isnan(draws).any(axis=0)]
    varies = draws.size > 0 and bool((draws.max(axis=1) - draws.min(axis=1) > 1e-9).all())
    correlation = float(np.asarray(np.corrcoef(draws))[0, 1]) if varies else 0.0
    return DifferenceRecord(
        difference=one - other,
        ci95=difference_interval(one, limits, other, other_limits, correlation),
        p_value=p_value,
    )


def _mcnemar_of_repeats(first: Predictions, second: Predictions) -> list[McNemarRecord]:
    return [
        McNemarRecord(repeat=repeat, **asdict(mcnemar_test(_correct(one)[0], _correct(other)[0])))
        for repeat, one, other in _single_sets(first, second)
    ]


def _delong_of_repeats(first: Predictions, second: Predictions) -> list[DeLongRecord]:
    tests = []
    for repeat, one, other in _single_sets(first, second):
        delong = delong_test(one.labels, _ranked(one), _ranked(other), one.patients)
        if delong is not None:
            tests.append(DeLongRecord(repeat=repeat, difference=delong.difference, p_value=delong.p_value))
    return tests


def _single_sets(first: Predictions, second: Predictions) -> list[tuple[int, Predictions, Predictions]]:
    """Return the repeats in which both arms have just one set of predictions, with these sets."""
    repeats = np.intersect1d(first.repeats, second.repeats).tolist()
    pairs = [(repeat, first.of_repeat(repeat), second.of_repeat(repeat)) for repeat in repeats]
    return [pair for pair in pairs if len(pair[1].repeats) == len(pair[2].repeats) == 1]


def _correct(predictions: Predictions) -> NDArray[np.bool_]:
    correct: NDArray[np.bool_] = predictions.predicted == predictions.labels
    return correct


def _ranked(predictions: Predictions) -> list[RankedSet]:
    return [RankedSet(*pair) for pair in zip(predictions.probabilities, predictions.models, strict=True)]
