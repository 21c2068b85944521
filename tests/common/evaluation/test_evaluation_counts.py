"""Evaluation counts of hospitals add up to those of the pooled images."""

import pytest

from tests.common.evaluation.drawn_counts import counts_of


def test_hospitals_scores_add_up_to_the_pooled_one() -> None:
    pooled = counts_of([0, 1, 1, 0, 1], [0.3, 0.8, 0.1, 0.6, 0.7])
    parts = counts_of([0, 1], [0.3, 0.8]) + counts_of([1, 0, 1], [0.1, 0.6, 0.7])
    assert parts.loss == pytest.approx(pooled.loss)
    assert parts.confusion.tolist() == pooled.confusion.tolist()
    assert parts.histogram.auc() == pooled.histogram.auc()
    assert parts.accuracy == pooled.accuracy == 0.6
    empty = counts_of([], [])
    assert (empty + pooled).loss == pooled.loss
    assert empty.accuracy is None
