"""The metrics of papers, out of an arm's summary, with 95 % intervals over patients."""

from collections.abc import Sequence

from common.statistics.intervals import mean_interval
from common.summary.arm import ArmRecord, MetricsRecord
from common.summary.record import Interval
from simulations.study.published_file import MetricName

Estimate = tuple[float | None, Interval | None]
"""A value and its interval; None where it is undefined."""


def published_metric(arm: ArmRecord, metric: MetricName) -> Estimate:
    """Return a metric of an arm as papers define it.

    ``balanced-accuracy`` is the mean of the sensitivities for each class that occurs among the tested images, as
    scikit-learn's `balanced_accuracy_score`; ``balanced-accuracy-of-sites`` is its mean over the hospitals, each tested
    on its own patients, which gives a small hospital as much weight as a large one.
    """
    if metric == "balanced-accuracy":
        return _balanced_accuracy(arm)
    if metric == "balanced-accuracy-of-sites":
        return _mean([_balanced_accuracy(site) for site in arm.per_site.values() if site.total])
    return getattr(arm, metric), arm.ci95.get(metric)


def _balanced_accuracy(metrics: MetricsRecord) -> Estimate:
    # Of more than two classes, the sensitivity is that mean; of two, that of class 0 is the specificity.
    names = ["sensitivity"] if len(metrics.confusion or []) > 2 else ["sensitivity", "specificity"]
    parts = [(getattr(metrics, name), metrics.ci95.get(name)) for name in names]
    return _mean([part for part in parts if part[0] is not None])


def _mean(parts: Sequence[Estimate]) -> Estimate:
    """Return the mean of independent estimates, and its interval where each has one."""
    values = [value for value, _ in parts if value is not None]
    limits = [limit for _, limit in parts if limit is not None]
    if not values:
        return None, None
    mean = sum(values) / len(values)
    return mean, mean_interval(values, limits) if len(limits) == len(values) else None
