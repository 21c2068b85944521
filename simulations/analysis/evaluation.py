"""From an arm's predictions to the numbers of `summary.json`: metrics, tests of two arms, the gap closed.

All arms of a study share one draw of patients. Everything returned is ready for JSON: plain numbers, and None where a
number does not exist.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.statistics.bootstrap import Bootstrap
from common.statistics.calibration import reliability
from common.statistics.intervals import difference_interval
from common.statistics.paired_tests import RankedSet, delong_test, mcnemar_test, sign_flip_test
from simulations.analysis.predictions import Predictions
from simulations.analysis.resampling import RESAMPLED_METRICS, ResampledMetrics, interval_of, resample

_COMPARED = ("accuracy", "auc")
# A denominator that is 0 or less in more than this share of the resamples may well be 0.
_UNCLEAR = 0.025


def evaluate(panel: Predictions, bootstrap: Bootstrap) -> dict[str, Any]:
    """Return everything that the summary says about the predictions of one arm.

    Parameters
    ----------
    panel : Predictions
        Predictions of the arm for all tested images.
    bootstrap : Bootstrap
        Of the panel's patients. Each hospital's intervals come from a draw of its own patients.

    Returns
    -------
    dict
        `metrics_of`, and `per_repeat` (metrics without intervals, by repeat), `per_site` (metrics by hospital),
        `worst_site` (`name` and `accuracy` of the hospital with the lowest accuracy, or None), `reliability` (the bins
        of `common.statistics.calibration.reliability`).
    """
    of_sites = {str(site): panel.of_images(panel.sites == site) for site in np.unique(panel.sites)}
    per_site = {site: metrics_of(part, Bootstrap.draw(part.patients)) for site, part in of_sites.items()}
    worst = min(per_site, key=lambda site: float(per_site[site]["accuracy"]), default=None)
    return {
        **metrics_of(panel, bootstrap),
        "per_repeat": [metrics_of(panel.of_repeat(repeat)) for repeat in np.unique(panel.repeats).tolist()],
        "per_site": per_site,
        "worst_site": None if worst is None else {"name": worst, "accuracy": per_site[worst]["accuracy"]},
        "reliability": [asdict(one) for one in reliability(panel.labels, panel.probabilities)],
    }


def metrics_of(panel: Predictions, bootstrap: Bootstrap | None = None) -> dict[str, Any]:
    """Return the metrics of a panel, with 95 % intervals where patients were drawn.

    Parameters
    ----------
    panel : Predictions
        At least one set; may have no image.
    bootstrap : Bootstrap or None
        Of the panel's patients; None leaves `ci95` out.

    Returns
    -------
    dict
        `correct` and `confusion` (means over sets), `total`, the metrics in `RESAMPLED_METRICS` (None where 0/0), and
        `ci95`: [lower, upper] or None for each metric.

    Raises
    ------
    ValueError
        When the bootstrap is of other patients.
    """
    values = resample(panel, bootstrap)
    found: dict[str, Any] = {
        "correct": float(np.trace(values.confusion)),
        "total": len(panel.labels),
        **{name: values.estimate(name) for name in RESAMPLED_METRICS},
        "confusion": values.confusion.tolist(),
    }
    if bootstrap is not None:
        limits = {name: interval_of(panel, values, name) for name in RESAMPLED_METRICS}
        found["ci95"] = {name: None if pair is None else list(pair) for name, pair in limits.items()}
    return found


def compare(first: Predictions, second: Predictions, bootstrap: Bootstrap, names: tuple[str, str]) -> dict[str, Any]:
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
    dict
        `first`, `second`; `accuracy` and `auc` (None where there is no AUC, or too few patients for a test), each with
        `difference` (first - second), `ci95` and `p_value`: of the sign-flip test by patient, and of DeLong's test for
        clustered data; `mcnemar` and `delong`, the tests of each repeat in which both arms have just one set.

    Raises
    ------
    ValueError
        When the panels are of different images, or of none.
    """
    _check_same_images(first, second)
    pair = resample(first, bootstrap), resample(second, bootstrap)
    delong = delong_test(first.labels, _ranked(first), _ranked(second), first.patients)
    p_values = {
        "accuracy": sign_flip_test(_correct(first), _correct(second), first.patients),
        "auc": None if delong is None else delong.p_value,
    }
    found: dict[str, Any] = {"first": names[0], "second": names[1]}
    for name in _COMPARED:
        difference = _difference(first, second, pair, name)
        p_value = p_values[name]
        found[name] = None if difference is None or p_value is None else {**difference, "p_value": p_value}
    return {**found, **_tests_of_repeats(first, second)}


def gap_closed(
    federated: Predictions, local_all: Predictions, centralized: Predictions, bootstrap: Bootstrap
) -> dict[str, dict[str, Any]]:
    """Return which share of the way from lonely hospitals to pooled images federated training goes.

    The share is (federated - local) / (centralised - local), with the hospitals' models judged on all hospitals'
    patients; 1 is the whole way. Its interval is that of the bootstrap's percentiles.

    Parameters
    ----------
    federated, local_all, centralized : Predictions
        Of the same images in the same order.
    bootstrap : Bootstrap
        Of their patients.

    Returns
    -------
    dict
        For `accuracy` and `auc`: `value` (None without a gap to close), `ci95` (None when the gap is not clearly
        positive, for then the share may be anything), `reason` (why one of them is missing, or None).
    """
    _check_same_images(federated, local_all)
    _check_same_images(federated, centralized)
    reached, start, goal = (resample(panel, bootstrap).metrics for panel in (federated, local_all, centralized))
    return {name: _gap(reached[name] - start[name], goal[name] - start[name]) for name in _COMPARED}


def _gap(gained: NDArray[np.float64], gap: NDArray[np.float64]) -> dict[str, Any]:
    """Return the share, out of what was gained and what could be: the estimates first, then the resamples."""
    if np.isnan(gained[0]) or np.isnan(gap[0]):
        return {"value": None, "ci95": None, "reason": "undefined for the tested images"}
    if gap[0] <= 1e-9:
        return {"value": None, "ci95": None, "reason": "centralised training is not better than hospitals alone"}
    value = float(gained[0] / gap[0])
    known = ~(np.isnan(gained) | np.isnan(gap))
    known[0] = False
    # The gap of a few images is a multiple of 1 / N up to rounding.
    if not known.any() or np.mean(gap[known] <= 1e-9) > _UNCLEAR:
        reason = "centralised training is not clearly better than hospitals alone"
        return {"value": value, "ci95": None, "reason": reason}
    positive = known & (gap > 1e-9)
    return {
        "value": value,
        "ci95": np.quantile(gained[positive] / gap[positive], [0.025, 0.975]).tolist(),
        "reason": None,
    }


def _difference(
    first: Predictions, second: Predictions, pair: tuple[ResampledMetrics, ResampledMetrics], name: str
) -> dict[str, Any] | None:
    one, other = (values.estimate(name) for values in pair)
    limits, other_limits = interval_of(first, pair[0], name), interval_of(second, pair[1], name)
    if one is None or other is None or limits is None or other_limits is None:
        return None
    draws: NDArray[np.float64] = np.stack([values.metrics[name][1:] for values in pair])
    draws = draws[:, ~np.isnan(draws).any(axis=0)]
    varies = draws.size > 0 and bool((draws.max(axis=1) - draws.min(axis=1) > 1e-9).all())
    correlation = float(np.asarray(np.corrcoef(draws))[0, 1]) if varies else 0.0
    return {
        "difference": one - other,
        "ci95": list(difference_interval(one, limits, other, other_limits, correlation)),
    }


def _tests_of_repeats(first: Predictions, second: Predictions) -> dict[str, list[dict[str, Any]]]:
    tests: dict[str, list[dict[str, Any]]] = {"mcnemar": [], "delong": []}
    for repeat in np.intersect1d(first.repeats, second.repeats).tolist():
        one, other = first.of_repeat(repeat), second.of_repeat(repeat)
        if len(one.repeats) > 1 or len(other.repeats) > 1:
            continue
        tests["mcnemar"].append({"repeat": repeat, **asdict(mcnemar_test(_correct(one)[0], _correct(other)[0]))})
        delong = delong_test(one.labels, _ranked(one), _ranked(other), one.patients)
        if delong is not None:
            tests["delong"].append({"repeat": repeat, "difference": delong.difference, "p_value": delong.p_value})
    return tests


def _correct(panel: Predictions) -> NDArray[np.bool_]:
    correct: NDArray[np.bool_] = panel.predicted == panel.labels
    return correct


def _ranked(panel: Predictions) -> list[RankedSet]:
    return [RankedSet(*pair) for pair in zip(panel.probabilities, panel.folds, strict=True)]


def _check_same_images(first: Predictions, second: Predictions) -> None:
    same = all(
        np.array_equal(getattr(first, name), getattr(second, name))
        for name in ("images", "sites", "patients", "labels")
    )
    if not same or len(first.labels) == 0:
        raise ValueError("arms are compared on the same images in the same order, and on at least one")
