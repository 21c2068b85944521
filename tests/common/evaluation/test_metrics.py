"""The metrics and ROC curves against scikit-learn and pencil and paper."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from common.evaluation import metrics, roc
from common.evaluation.score_histogram import ScoreHistogram


def draw(seed: int, images: int, classes: int, decimals: int | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scores that know something about the labels; rounding makes ties."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, images)
    logits = generator.normal(size=(images, classes)) + 1.2 * np.eye(classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if decimals is not None:
        probabilities = probabilities.round(decimals)
    return labels, probabilities


problems = st.builds(
    draw,
    seed=st.integers(0, 10_000),
    images=st.integers(0, 60),
    classes=st.integers(2, 4),
    decimals=st.sampled_from([None, 1, 2]),
)


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


@given(problems, st.integers(1, 80), st.integers(0, 60))
@settings(max_examples=80, deadline=None)
def test_histograms_of_sites_add_up_to_the_exact_auc_within_their_bound(
    problem: tuple[NDArray[Any], NDArray[Any]], bins: int, cut: int
) -> None:
    labels, probabilities = problem
    classes = probabilities.shape[1]
    sites = [
        ScoreHistogram.from_scores(labels[part], probabilities[part], bins)
        for part in (slice(None, cut), slice(cut, None))
    ]
    travelled = [ScoreHistogram.from_list(json.loads(json.dumps(site.to_list())), classes) for site in sites]
    whole = travelled[0] + travelled[1]
    np.testing.assert_array_equal(whole.counts, ScoreHistogram.from_scores(labels, probabilities, bins).counts)
    exact, binned, bound = roc.auc(labels, probabilities), whole.auc(), whole.auc_error()
    if exact is None:
        assert binned is None
        assert bound is None
        assert whole.roc() is None
    else:
        assert binned is not None
        assert bound is not None
        assert bound <= 0.5
        assert abs(binned - exact) <= bound + 1e-12


def test_the_bound_is_half_the_share_of_pairs_that_share_a_bin() -> None:
    labels = np.array([0, 0, 1, 1])
    positive = np.array([0.1, 0.6, 0.7, 0.9])  # two bins: pairs (.6, .7) and (.6, .9) share one, of four
    histogram = ScoreHistogram.from_scores(labels, np.stack([1 - positive, positive], axis=1), 2)
    assert histogram.auc() == pytest.approx(0.75)
    assert histogram.auc_error() == pytest.approx(2 / 4 / 2)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [1, 2, 3],
        [1, 0, 0, -1],
        [1, 0, 0, 2],
        [1, 0, 1, 0],
        [1.0, 0, 0, 1],
        [True, 0, 0, 1],
        [2**63, 0, 0, 2**63],
        [2**31, 0, 0, 2**31],
    ],
)
def test_a_list_that_is_no_histogram_is_refused(values: list[Any]) -> None:
    with pytest.raises(ValueError):
        ScoreHistogram.from_list(values, 2)


def test_histograms_of_different_shapes_do_not_add_up() -> None:
    labels, probabilities = draw(0, 10, 2)
    with pytest.raises(ValueError, match="do not add up"):
        ScoreHistogram.from_scores(labels, probabilities, 5) + ScoreHistogram.from_scores(labels, probabilities, 6)


def test_log_loss_is_scikit_learns_and_finite_when_wrong() -> None:
    labels, probabilities = draw(2, 30, 3)
    assert metrics.mean_log_loss(labels, probabilities) == pytest.approx(reference.log_loss(labels, probabilities))
    assert metrics.mean_log_loss([0], [[0.0, 1.0]]) == pytest.approx(-math.log(1e-7))
    with pytest.raises(ValueError, match="no image"):
        metrics.mean_log_loss([], np.zeros((0, 2)))


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


def test_a_class_out_of_range_does_not_vanish_from_the_counts() -> None:
    with pytest.raises(ValueError, match="outside"):
        metrics.confusion_matrix([0, 1], [0, 2], 2)
    with pytest.raises(ValueError, match="do not fit"):
        metrics.confusion_matrix([0, 1], [0], 2)
    with pytest.raises(ValueError, match="square"):
        metrics.rates([[1, 2, 3]])
