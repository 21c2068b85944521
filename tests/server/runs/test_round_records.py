"""What the records of a run say of hospitals that share their scores and of those that do not."""

import pytest

from server.runs.round_records import federated_evaluation, learning_curve, metrics_of_counts
from tests.server.rounds.hospitals_in_process import (
    Hospital,
    federate,
)


def test_hospitals_that_share_no_scores_still_train_a_model() -> None:
    result = federate(Hospital(1, "north", shares=False), Hospital(3, "south", shares=False))
    assert result.selected_round == 2
    assert result.test == {}
    assert [report.train_loss for report in result.rounds] == [None, None]
    assert federated_evaluation(result) is None
    assert all(point.validation_loss is None for point in learning_curve(result, 2))


def test_one_hospital_that_shares_speaks_for_itself_alone() -> None:
    result = federate(Hospital(1, "north"), Hospital(3, "south", shares=False))
    assert list(result.test) == ["north"]
    assert result.rounds[0].train_loss == 0.7
    metrics = metrics_of_counts(result.test["north"])
    assert (metrics.correct, metrics.total, metrics.sensitivity, metrics.specificity) == (3, 4, 0.5, 1.0)
    # Wilson's interval of 3 in 4.
    assert metrics.ci95["accuracy"] == pytest.approx([0.3006, 0.9544], abs=1e-4)
    assert metrics.auc == 0.5
