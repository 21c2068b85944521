"""The learning curve of an arm: the mean over its trainings, and how far they are spread."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from common.summary.arm import CurvePointRecord
from common.summary.record import Interval
from simulations.analysis.out_of_fold import Trained

_MEASURES = ("train_loss", "validation_loss", "validation_accuracy", "validation_auc")

Curve = Sequence[CurvePointRecord]


def mean_learning_curve(trained: Trained) -> list[CurvePointRecord]:
    """Return the mean of an arm's learning curves over folds and repeats, and one standard deviation either way.

    The curves of one fold's trainings, one per site in the local arm, are pooled first.
    """
    curves: defaultdict[tuple[int, int], list[tuple[int, Curve]]] = defaultdict(list)
    for unit, outcome in trained:
        if outcome.learning_curve:
            curves[unit.repeat, unit.fold].append((outcome.samples_seen, outcome.learning_curve))
    pooled = [_pool(parts) for parts in curves.values()]
    return [_mean(points) for points in zip(*pooled, strict=True)]


def _mean(points: Curve) -> CurvePointRecord:
    means: dict[str, float | None] = {}
    spread: dict[str, Interval | None] = {}
    for name in _MEASURES:
        values = [value for point in points if (value := getattr(point, name)) is not None]
        mean = float(np.mean(values)) if values else None
        means[name] = mean
        if mean is not None and len(values) > 1 and name != "validation_auc":
            deviation = float(np.std(values, ddof=1))
            spread[name] = (mean - deviation, mean + deviation)
    return CurvePointRecord(progress=points[0].progress, **means, spread=spread or None)


def _pool(parts: Sequence[tuple[int, Curve]]) -> list[CurvePointRecord]:
    """Average the curves of one fold's trainings, weighted by the number of samples that each has seen."""
    pooled = []
    for points in zip(*(curve for _, curve in parts), strict=True):
        means: dict[str, float | None] = {}
        for name in _MEASURES:
            known = [(samples, getattr(point, name)) for (samples, _), point in zip(parts, points, strict=True)]
            values = [(samples, value) for samples, value in known if value is not None]
            weight = sum(samples for samples, _ in values)
            means[name] = sum(samples * value for samples, value in values) / weight if values else None
        pooled.append(CurvePointRecord(progress=points[0].progress, **means))
    return pooled
