"""Evaluation counts as the metrics of a message, and back."""

import pytest
from flwr.app import MetricRecord

from common.protocol import messages
from common.protocol.evaluation_metrics import counts_from_metrics, counts_to_metrics
from tests.common.evaluation.drawn_counts import BINS, counts_of


def test_evaluation_counts_survive_the_journey() -> None:
    sent = counts_of([0, 1, 1], [0.2, 0.9, 0.4])
    record = MetricRecord(counts_to_metrics(sent))
    got = counts_from_metrics(record, classes=2, bins=BINS)
    assert got.loss == sent.loss
    assert got.confusion.tolist() == [[1, 0], [1, 1]]
    assert got.histogram.auc() == sent.histogram.auc() == 1.0


@pytest.mark.parametrize(
    "change",
    [
        {"score-loss": float("nan")},
        {"score-loss": -1.0},
        {"score-loss": 1},
        {"score-confusion": [1, 2, 3]},
        {"score-confusion": [1, -2, 3, 4]},
        {"score-confusion": [1.0, 2.0, 3.0, 4.0]},
        {"score-confusion": [1, 0, 1, 1]},
        {"score-confusion": [2**62, 2**62, 2**62, 2**62 + 1]},
        {"score-histogram": [0] * 7},
        {"score-histogram": 3},
    ],
)
def test_impossible_counts_are_refused(change: dict[str, messages.MetricValue]) -> None:
    metrics = counts_to_metrics(counts_of([0, 1], [0.1, 0.9])) | change
    with pytest.raises(ValueError, match=r"score-|histogram"):
        counts_from_metrics(metrics, classes=2, bins=BINS)
