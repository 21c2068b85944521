"""Evaluation counts as the values of a Flower metric record, and back."""

from collections.abc import Mapping, Sequence

import numpy as np

from common.evaluation.evaluation_counts import EvaluationCounts
from common.evaluation.ranked_pairs import RankedPairs
from common.evaluation.score_histogram import LARGEST_COUNT, ScoreHistogram
from common.protocol.messages import SCORE_AREAS, SCORE_CONFUSION, SCORE_HISTOGRAM, SCORE_LOSS, MetricValue
from common.protocol.reply_words import number_word

# `mean_log_loss` clips probabilities, so no honest mean is larger; without a bound one hospital could decide alone.
_LARGEST_LOSS = 16.2


def counts_to_metrics(counts: EvaluationCounts) -> dict[str, MetricValue]:
    """Return evaluation counts as values of a Flower metric record."""
    return {
        SCORE_LOSS: counts.loss,
        SCORE_CONFUSION: [int(count) for count in counts.confusion.ravel()],
        SCORE_HISTOGRAM: counts.histogram.to_list(),
        SCORE_AREAS: counts.ranking.areas(),
    }


def counts_from_metrics(metrics: Mapping[str, MetricValue], classes: int, bins: int) -> EvaluationCounts:
    """Rebuild evaluation counts from the metrics of a reply.

    Raises
    ------
    ValueError
        If a value is missing, of the wrong length or impossible.
    """
    loss = metrics.get(SCORE_LOSS)
    if not isinstance(loss, float) or not 0 <= loss <= _LARGEST_LOSS:
        raise ValueError(f"{SCORE_LOSS} is {number_word(loss)}")
    counts = _counts(metrics, SCORE_CONFUSION, classes * classes)
    confusion = np.array(counts, dtype=np.int64).reshape(classes, classes)
    histogram = ScoreHistogram.from_list(_counts(metrics, SCORE_HISTOGRAM, classes * 2 * bins), classes)
    if (confusion.sum(axis=1) != histogram.counts[:, 1].sum(axis=1)).any():
        raise ValueError(f"{SCORE_CONFUSION} and {SCORE_HISTOGRAM} do not count the same images")
    ranking = RankedPairs.from_areas(_areas(metrics), confusion.sum(axis=1))
    return EvaluationCounts(loss, confusion, histogram, ranking)


def _areas(metrics: Mapping[str, MetricValue]) -> list[float]:
    values = metrics.get(SCORE_AREAS)
    if not isinstance(values, Sequence) or not all(isinstance(value, float) for value in values):
        raise ValueError(f"{SCORE_AREAS} is not a list of numbers")
    return [float(value) for value in values]


def _counts(metrics: Mapping[str, MetricValue], key: str, length: int) -> list[int]:
    values = metrics.get(key)
    if not isinstance(values, Sequence) or len(values) != length:
        raise ValueError(f"{key} is not a list of {length} counts")
    counts = [value for value in values if isinstance(value, int) and 0 <= value <= LARGEST_COUNT]
    if len(counts) != length:
        raise ValueError(f"{key} holds something else than counts")
    return counts
