"""The rates and the log loss against scikit-learn and pencil and paper."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from sklearn import metrics as reference

from common.evaluation import metrics
from tests.common.evaluation.drawn_scores import draw, problems


def test_the_binary_rates_by_hand() -> None:
    found = metrics.rates([[50, 10], [5, 35]])
    assert (found.correct, found.total, found.accuracy) == (85, 100, 0.85)
    assert found.sensitivity == 35 / 40
    assert found.specificity == 50 / 60
    assert found.precision == 35 / 45
    assert found.f1 == 70 / 85


def test_nothing_over_nothing_is_none() -> None:
    empty = metrics.rates([[0, 0], [0, 0]])
    assert (empty.accuracy, empty.sensitivity, empty.specificity, empty.precision, empty.f1) == (None,) * 5
    healthy = metrics.rates([[4, 0], [0, 0]])
    assert (healthy.accuracy, healthy.sensitivity, healthy.specificity) == (1.0, None, 1.0)
    assert (healthy.precision, healthy.f1) == (None, None)


def test_macro_means_leave_out_absent_classes_and_charge_unnamed_ones() -> None:
    # Class 2 never occurs; class 1 occurs and is never predicted.
    found = metrics.rates([[3, 0, 1], [2, 0, 0], [0, 0, 0]])
    assert found.sensitivity == pytest.approx((3 / 4 + 0) / 2)
    assert found.specificity == pytest.approx((0 + 1) / 2)
    assert found.precision == pytest.approx((3 / 5 + 0) / 2)
    assert found.f1 == pytest.approx((6 / 9 + 0) / 2)
    assert metrics.rates([[3, 1, 0], [0, 0, 0], [0, 0, 0]]).specificity is None


@given(problems)
@settings(max_examples=60, deadline=None)
def test_rates_agree_with_scikit_learn(problem: tuple[NDArray[Any], NDArray[Any]]) -> None:
    labels, probabilities = problem
    predicted = probabilities.argmax(axis=1)
    classes = probabilities.shape[1]
    matrix = metrics.confusion_matrix(labels, predicted, classes)
    assert matrix.sum() == len(labels)
    if len(labels) == 0:
        return
    np.testing.assert_array_equal(matrix, reference.confusion_matrix(labels, predicted, labels=range(classes)))
    found = metrics.rates(matrix)
    assert found.accuracy == pytest.approx(reference.accuracy_score(labels, predicted))
    averaging = {"labels": [1]} if classes == 2 else {"labels": np.unique(labels)}
    expected = reference.precision_recall_fscore_support(
        labels, predicted, average="macro", zero_division=0, **averaging
    )
    mine = (found.precision, found.sensitivity, found.f1)
    for value, other in zip(mine, expected[:3], strict=True):
        assert (value or 0.0) == pytest.approx(other)


def test_log_loss_is_scikit_learns_and_finite_when_wrong() -> None:
    labels, probabilities = draw(2, 30, 3)
    assert metrics.mean_log_loss(labels, probabilities) == pytest.approx(reference.log_loss(labels, probabilities))
    assert metrics.mean_log_loss([0], [[0.0, 1.0]]) == pytest.approx(-math.log(1e-7))
    with pytest.raises(ValueError, match="no image"):
        metrics.mean_log_loss([], np.zeros((0, 2)))


def test_a_class_out_of_range_does_not_vanish_from_the_counts() -> None:
    with pytest.raises(ValueError, match="outside"):
        metrics.confusion_matrix([0, 1], [0, 2], 2)
    with pytest.raises(ValueError, match="do not fit"):
        metrics.confusion_matrix([0, 1], [0], 2)
    with pytest.raises(ValueError, match="square"):
        metrics.rates([[1, 2, 3]])
