"""How good an arm's predictions are: its metrics with intervals, by repeat and by site.

All arms of a study share one draw of patients.
"""

from dataclasses import asdict

import numpy as np

from common.statistics.bootstrap import Bootstrap
from common.statistics.calibration import reliability
from common.summary.arm import ArmRecord, MetricsRecord, ReliabilityBinRecord, WorstSiteRecord
from simulations.analysis.predictions import Predictions
from simulations.analysis.resampling import RESAMPLED_METRICS, interval_of, resample


def evaluate(predictions: Predictions, bootstrap: Bootstrap) -> ArmRecord:
    """Return everything that the summary says about the predictions of one arm.

    Parameters
    ----------
    predictions : Predictions
        Of the arm for all tested images.
    bootstrap : Bootstrap
        Of their patients. Each hospital's intervals come from a draw of its own patients.

    Returns
    -------
    ArmRecord
        The metrics, by repeat (without intervals) and by site, the least accurate site and the reliability bins; what
        the trainings took is not set.
    """
    sites = np.unique(predictions.sites).tolist()
    of_sites = {str(site): predictions.of_images(predictions.sites == site) for site in sites}
    per_site = {site: metrics_of(part, Bootstrap.draw(part.patients)) for site, part in of_sites.items()}
    worst = min(per_site, key=lambda site: float(per_site[site].accuracy or 0), default=None)
    repeats = np.unique(predictions.repeats).tolist()
    bins = reliability(predictions.labels, predictions.probabilities)
    return ArmRecord(
        **metrics_of(predictions, bootstrap).fields(),
        per_repeat=[metrics_of(predictions.of_repeat(repeat)) for repeat in repeats],
        per_site=per_site,
        worst_site=None if worst is None else WorstSiteRecord(name=worst, accuracy=per_site[worst].accuracy),
        reliability=[ReliabilityBinRecord(**asdict(one)) for one in bins],
    )


def metrics_of(predictions: Predictions, bootstrap: Bootstrap | None = None) -> MetricsRecord:
    """Return the metrics of predictions, with 95 % intervals where patients were drawn.

    Parameters
    ----------
    predictions : Predictions
        At least one set; may have no image.
    bootstrap : Bootstrap or None
        Of their patients; None leaves the intervals out.

    Raises
    ------
    ValueError
        When the bootstrap is of other patients.
    """
    values = resample(predictions, bootstrap)
    metrics = MetricsRecord(
        correct=float(np.trace(values.confusion)),
        total=len(predictions.labels),
        **{name: values.estimate(name) for name in RESAMPLED_METRICS},
        confusion=values.confusion.tolist(),
    )
    if bootstrap is None:
        return metrics
    return metrics.extended(ci95={name: interval_of(predictions, values, name) for name in RESAMPLED_METRICS})
