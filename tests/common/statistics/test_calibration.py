"""Calibration by hand and against scikit-learn's calibration curve."""

import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from common.statistics.calibration import reliability, weighted_calibration_error, weighted_gaps


def error_of(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    return weighted_calibration_error(weighted_gaps(labels, probabilities, weights))


def two(positive: np.ndarray) -> np.ndarray:
    return np.stack([1 - positive, positive], axis=1)


def test_two_classes_by_hand() -> None:
    labels = np.array([0, 1, 1, 1])
    probabilities = two(np.array([0.02, 0.08, 0.85, 1.0]))
    # Bin 0: stated .05, true .5; bin 8: .85 and 1; bin 9, which holds 1 as well: 1 and 1.
    expected = 2 / 4 * 0.45 + 1 / 4 * 0.15
    # The first image drawn three times: bin 0 states .035 on average, and a quarter of it is true.
    drawn = 4 / 6 * abs((3 * 0.02 + 0.08) / 4 - 1 / 4) + 1 / 6 * 0.15
    found = error_of(labels, probabilities, np.array([[1.0, 1, 1, 1], [3.0, 1, 1, 1], [0.0, 0, 0, 0]]))
    assert found[:2] == pytest.approx([expected, drawn])
    assert np.isnan(found[2])
    bins = reliability(labels, probabilities[None])
    assert [(one.low, one.high, one.images) for one in bins] == [(0, 0.1, 2), (0.8, 0.9, 1), (0.9, 1, 1)]
    assert [one.observed for one in bins] == [0.5, 1, 1]


def test_more_classes_take_the_top_label() -> None:
    labels = np.array([0, 1, 2])
    probabilities = np.array([[0.7, 0.2, 0.1], [0.1, 0.75, 0.15], [0.4, 0.35, 0.25]])
    # Bin 7: stated .725 and right twice; bin 4: stated .4 and wrong.
    assert error_of(labels, probabilities, np.ones((1, 3)))[0] == pytest.approx(2 / 3 * 0.275 + 1 / 3 * 0.4)


def test_bins_agree_with_scikit_learn_and_add_up_to_the_error() -> None:
    generator = np.random.default_rng(4)
    labels, positive = generator.integers(0, 2, 150), generator.random((3, 150))
    probabilities = np.stack([two(row) for row in positive])
    bins = reliability(labels, probabilities)
    observed, predicted = calibration_curve(np.tile(labels, 3), positive.ravel(), n_bins=10)
    assert [one.observed for one in bins] == pytest.approx(observed)
    assert [one.predicted for one in bins] == pytest.approx(predicted)
    assert sum(one.images for one in bins) == pytest.approx(150)
    (single,) = [reliability(labels, probabilities[:1])]
    by_hand = sum(one.images * abs(one.predicted - one.observed) for one in single) / 150
    assert error_of(labels, probabilities[0], np.ones((1, 150)))[0] == pytest.approx(by_hand)


def test_no_image_has_no_error_and_no_bin() -> None:
    labels, probabilities = np.zeros(0, dtype=np.int64), np.zeros((0, 2))
    assert np.isnan(error_of(labels, probabilities, np.ones((1, 0)))).all()
    assert reliability(labels, probabilities[None]) == []
