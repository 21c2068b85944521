"""The metrics against scikit-learn, scipy, published numbers and pencil and paper."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn import metrics as reference

from common import metrics


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
    found = metrics.auc(labels, probabilities)
    if len(np.unique(labels)) < 2:
        assert found is None
    else:
        areas = [reference.roc_auc_score(labels == index, probabilities[:, index]) for index in indices]
        assert found == pytest.approx(np.mean(areas))


def test_a_roc_curve_rises_from_corner_to_corner() -> None:
    for classes in (2, 3):
        curve = metrics.roc_curve(*draw(3, 50, classes))
        assert curve is not None
        for rate in (curve.false_positive_rate, curve.true_positive_rate):
            assert rate[0] == 0
            assert rate[-1] == pytest.approx(1)
            assert (np.diff(rate) >= 0).all()


def test_the_mean_of_curves_by_hand() -> None:
    step = metrics.RocCurve(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]))
    chance = metrics.RocCurve(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    mean = metrics.mean_roc([step, chance])
    assert mean is not None
    assert mean.area() == pytest.approx(0.75)
    assert metrics.mean_roc([]) is None


@given(problems, st.integers(1, 80), st.integers(0, 60))
@settings(max_examples=80, deadline=None)
def test_histograms_of_sites_add_up_to_the_exact_auc_within_their_bound(
    problem: tuple[NDArray[Any], NDArray[Any]], bins: int, cut: int
) -> None:
    labels, probabilities = problem
    classes = probabilities.shape[1]
    sites = [
        metrics.ScoreHistogram.from_scores(labels[part], probabilities[part], bins)
        for part in (slice(None, cut), slice(cut, None))
    ]
    travelled = [metrics.ScoreHistogram.from_list(json.loads(json.dumps(site.to_list())), classes) for site in sites]
    whole = travelled[0] + travelled[1]
    np.testing.assert_array_equal(whole.counts, metrics.ScoreHistogram.from_scores(labels, probabilities, bins).counts)
    exact, binned, bound = metrics.auc(labels, probabilities), whole.auc(), whole.auc_error()
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
    histogram = metrics.ScoreHistogram.from_scores(labels, np.stack([1 - positive, positive], axis=1), 2)
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
        metrics.ScoreHistogram.from_list(values, 2)


def test_histograms_of_different_shapes_do_not_add_up() -> None:
    labels, probabilities = draw(0, 10, 2)
    with pytest.raises(ValueError, match="do not add up"):
        metrics.ScoreHistogram.from_scores(labels, probabilities, 5) + metrics.ScoreHistogram.from_scores(
            labels, probabilities, 6
        )


def test_wilson_is_scipys_and_undefined_without_images() -> None:
    expected = binomtest(173, 200).proportion_ci(method="wilson")
    assert metrics.wilson_interval(173, 200) == pytest.approx((expected.low, expected.high))
    assert metrics.wilson_interval(0, 0) is None
    # Wilson (1927) written out: 8 of 10.
    z, share, n = 1.959963984540054, 0.8, 10
    centre, half = share + z * z / 2 / n, z * math.sqrt(share * (1 - share) / n + z * z / 4 / n / n)
    scale = 1 + z * z / n
    assert metrics.wilson_interval(8, 10) == pytest.approx(((centre - half) / scale, (centre + half) / scale))


def test_delong_against_its_definition() -> None:
    labels, probabilities = draw(11, 40, 2, decimals=1)
    positive, negative = probabilities[labels == 1, 1], probabilities[labels == 0, 1]
    kernel = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    area = kernel.mean()
    variance = kernel.mean(axis=1).var(ddof=1) / positive.size + kernel.mean(axis=0).var(ddof=1) / negative.size
    half = 1.959963984540054 * math.sqrt(variance) / (area * (1 - area))
    centre = math.log(area / (1 - area))
    expected = tuple(1 / (1 + math.exp(-(centre + side * half))) for side in (-1, 1))
    assert metrics.auc_interval(labels, probabilities) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("labels", "scores"),
    [([0, 0, 0, 1, 1, 1], [0, 0, 0.1, 0.8, 0.9, 1]), ([0, 1], [0.2, 0.3]), ([0, 0, 1, 1], [0.5] * 4)],
    ids=["perfect", "one of each", "all tied"],
)
def test_the_auc_interval_stays_honest_where_delong_says_zero(labels: list[int], scores: list[float]) -> None:
    probabilities = np.stack([1 - np.array(scores), np.array(scores)], axis=1)
    interval = metrics.auc_interval(labels, probabilities)
    area = metrics.auc(labels, probabilities)
    assert interval is not None
    assert area is not None
    assert 0 <= interval[0] <= area <= interval[1] <= 1
    assert interval[1] - interval[0] > 0.3
    # Turning the scores round mirrors the interval.
    mirrored = metrics.auc_interval(labels, probabilities[:, ::-1])
    assert mirrored == pytest.approx((1 - interval[1], 1 - interval[0]), abs=1e-6)


def test_the_auc_interval_covers_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    truth = 0.8413447  # two normals, one deviation of sqrt(2) apart
    labels = np.repeat([0, 1], [30, 30])
    covered = 0
    for _ in range(300):
        scores = 1 / (1 + np.exp(-(generator.normal(size=60) + math.sqrt(2) * labels)))
        interval = metrics.auc_interval(labels, np.stack([1 - scores, scores], axis=1))
        assert interval is not None
        covered += interval[0] <= truth <= interval[1]
    assert 0.91 <= covered / 300 <= 0.985


def test_auc_interval_is_undefined_for_one_class_and_for_three() -> None:
    assert metrics.auc_interval([1, 1], [[0.5, 0.5], [0.2, 0.8]]) is None
    assert metrics.auc_interval(*draw(1, 30, 3)) is None


def test_mcnemar_counts_only_where_they_differ() -> None:
    first = np.array([True] * 50 + [True] * 8 + [False] * 2 + [False] * 5)
    second = np.array([True] * 50 + [False] * 8 + [True] * 2 + [False] * 5)
    test = metrics.mcnemar_test(first, second)
    assert (test.only_first, test.only_second, test.total) == (8, 2, 65)
    assert test.p_value == pytest.approx(2 * sum(math.comb(10, k) for k in range(3)) / 2**10)
    assert test.detectable_difference() == pytest.approx(1.96 * math.sqrt(10) / 65)
    same = metrics.mcnemar_test(first, first)
    assert same.p_value == 1.0
    assert same.detectable_difference() == pytest.approx(6 / 65)
    assert metrics.mcnemar_test([], []).detectable_difference() == 1.0
    with pytest.raises(ValueError, match="different images"):
        metrics.mcnemar_test(first, second[1:])


def test_log_loss_is_scikit_learns_and_finite_when_wrong() -> None:
    labels, probabilities = draw(2, 30, 3)
    assert metrics.mean_log_loss(labels, probabilities) == pytest.approx(reference.log_loss(labels, probabilities))
    assert metrics.mean_log_loss([0], [[0.0, 1.0]]) == pytest.approx(-math.log(1e-7))
    with pytest.raises(ValueError, match="no image"):
        metrics.mean_log_loss([], np.zeros((0, 2)))


@pytest.mark.parametrize(("images", "classes"), [(40, 2), (40, 3), (1, 2), (0, 2), (0, 3)])
def test_arm_metrics_are_json_and_complete(images: int, classes: int) -> None:
    labels, probabilities = draw(4, images, classes)
    found = metrics.arm_metrics(labels, probabilities)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert list(found) == [
        *("correct", "total", "accuracy", "sensitivity", "specificity", "precision", "f1"),
        *("auc", "confusion", "ci95"),
    ]
    assert list(found["ci95"]) == ["accuracy", "sensitivity", "specificity", "precision", "auc"]
    assert found["total"] == images
    for name, interval in found["ci95"].items():
        if interval is not None:
            assert interval[0] <= found[name] <= interval[1]
    if images == 40:
        assert found["ci95"]["accuracy"] is not None
        assert (found["ci95"]["sensitivity"] is None) == (classes == 3)


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
        metrics.arm_metrics(labels, probabilities)


def test_a_class_out_of_range_does_not_vanish_from_the_counts() -> None:
    with pytest.raises(ValueError, match="outside"):
        metrics.confusion_matrix([0, 1], [0, 2], 2)
    with pytest.raises(ValueError, match="do not fit"):
        metrics.confusion_matrix([0, 1], [0], 2)
    with pytest.raises(ValueError, match="square"):
        metrics.rates([[1, 2, 3]])
