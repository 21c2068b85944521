"""ROC curves and AUC against scikit-learn and pencil and paper."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.typing import NDArray
from sklearn import metrics as reference

from common.evaluation import roc
from tests.common.evaluation.drawn_scores import draw, problems


@given(problems)
@settings(max_examples=60, deadline=None)
def test_auc_agrees_with_scikit_learn(problem: tuple[NDArray[Any], NDArray[Any]]) -> None:
    labels, probabilities = problem
    classes = probabilities.shape[1]
    indices = [1] if classes == 2 else np.unique(labels)
    found = roc.auc(labels, probabilities)
    if len(np.unique(labels)) < 2:
        assert found is None
    else:
        areas = [reference.roc_auc_score(labels == index, probabilities[:, index]) for index in indices]
        assert found == pytest.approx(np.mean(areas))


@given(problems)
@settings(max_examples=100, deadline=None)
def test_roc_points_and_areas_are_scikit_learns_to_the_last_bit(problem: tuple[NDArray[Any], NDArray[Any]]) -> None:
    labels, probabilities = problem
    positive = labels == 1
    scores = np.stack([1 - probabilities[:, 1], probabilities[:, 1]], axis=1)
    found = roc.roc_curve(positive, scores)
    if not positive.any() or positive.all():
        assert found is None
        return
    x, y, _ = reference.roc_curve(positive, probabilities[:, 1])
    expected = roc.mean_roc([roc.RocCurve(x, y)])
    assert found is not None
    assert expected is not None
    np.testing.assert_array_equal(found.false_positive_rate, expected.false_positive_rate)
    np.testing.assert_array_equal(found.true_positive_rate, expected.true_positive_rate)
    assert found.area() == reference.auc(expected.false_positive_rate, expected.true_positive_rate)


def test_a_roc_curve_rises_from_corner_to_corner() -> None:
    for classes in (2, 3):
        curve = roc.roc_curve(*draw(3, 50, classes))
        assert curve is not None
        for rate in (curve.false_positive_rate, curve.true_positive_rate):
            assert rate[0] == 0
            assert rate[-1] == pytest.approx(1)
            assert (np.diff(rate) >= 0).all()


def test_the_mean_of_curves_by_hand() -> None:
    step = roc.RocCurve(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]))
    chance = roc.RocCurve(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    mean = roc.mean_roc([step, chance])
    assert mean is not None
    assert mean.area() == pytest.approx(0.75)
    assert roc.mean_roc([]) is None


@pytest.mark.parametrize(
    ("labels", "probabilities"),
    [
        ([0, 2], [[0.5, 0.5], [0.5, 0.5]]),
        ([-1], [[0.5, 0.5]]),
        ([0], [[float("nan"), 0.5]]),
        ([0], [[1.5, -0.5]]),
        ([0, 1], [[0.5, 0.5]]),
        ([0], [[1.0]]),
    ],
)
def test_scores_that_make_no_sense_are_refused(labels: list[int], probabilities: list[list[float]]) -> None:
    with pytest.raises(ValueError):
        roc.checked_scores(labels, probabilities)
