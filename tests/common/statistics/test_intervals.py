"""The forms of the intervals against statsmodels, scipy and their limits; their coverage is tested in the study."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from common.statistics.intervals import (
    EffectiveSizes,
    calibration_error_interval,
    difference_interval,
    resampled_auc_interval,
    resampled_share_interval,
)


@given(st.integers(1, 300), st.data())
@settings(max_examples=60, deadline=None)
def test_one_prediction_a_patient_gives_wilsons_interval(images: int, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, images))
    draws = np.random.default_rng(images).binomial(images, right / images, 500) / images
    found = resampled_share_interval(right / images, draws, EffectiveSizes.of_predictions(np.ones(images)))
    assert found == pytest.approx(proportion_confint(right, images, method="wilson"), abs=1e-12)


def test_patients_whose_predictions_are_alike_count_once() -> None:
    generator = np.random.default_rng(1)
    draws = generator.binomial(60, 0.8, 4000) / 60
    alike = resampled_share_interval(0.8, draws, EffectiveSizes.of_predictions(np.full(60, 3.0)))
    assert alike == pytest.approx(proportion_confint(48, 60, method="wilson"))
    independent = generator.binomial(180, 0.8, 4000) / 180
    many = resampled_share_interval(0.8, independent, EffectiveSizes.of_predictions(np.full(60, 3.0)))
    assert many == pytest.approx(proportion_confint(144, 180, method="wilson"), abs=0.01)


def test_the_sizes_are_kishs_and_the_number() -> None:
    sizes = EffectiveSizes.of_predictions(np.array([1.0, 1, 2, 0]))
    assert (sizes.least, sizes.most, sizes.patients) == (pytest.approx(16 / 6), 4, 3)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_share_without_variance_is_not_certain(value: float) -> None:
    low, high = resampled_share_interval(value, np.full(50, value), EffectiveSizes.of_predictions(np.full(12, 3.0)))
    assert (low, high) == pytest.approx(proportion_confint(12 * value, 12, method="wilson"))
    assert value in (low, high)


@pytest.mark.parametrize(("area", "positives", "negatives"), [(1.0, 8, 7), (0.5, 2, 2), (1.0, 1, 1), (0.0, 3, 40)])
def test_an_auc_without_variance_gets_newcombes_interval(area: float, positives: int, negatives: int) -> None:
    limits = resampled_auc_interval(area, np.full(50, area), positives, negatives)
    for limit in limits:
        # Newcombe (2006), method 5: a limit is as far from the area as its own variance says, which is Hanley and
        # McNeil's with the mean of both class sizes for each.
        q1, q2, size = limit / (2 - limit), 2 * limit**2 / (1 + limit), (positives + negatives) / 2
        excess = (size - 1) * (q1 - limit**2 + q2 - limit**2)
        variance = (limit * (1 - limit) + excess) / (positives * negatives)
        assert limit == area or (area - limit) ** 2 == pytest.approx(1.959964**2 * variance, rel=1e-5)
    assert limits[0] <= area <= limits[1]
    assert limits[1] - limits[0] > 0.25
    # Turning the scores round mirrors the interval.
    mirrored = resampled_auc_interval(1 - area, np.full(50, 1 - area), negatives, positives)
    assert mirrored == pytest.approx((1 - limits[1], 1 - limits[0]), abs=1e-6)


def test_an_auc_of_one_pair_has_wilsons_interval_of_one_draw() -> None:
    assert resampled_auc_interval(1.0, np.ones(50), 1, 1) == pytest.approx(proportion_confint(1, 1, method="wilson"))


def test_an_auc_with_a_single_positive_patient_is_not_certain() -> None:
    # A single positive patient is in every resample that has a pair: the draws do not know how little that is.
    assert resampled_auc_interval(0.9, np.linspace(0.85, 0.95, 50), 1, 30)[0] < 0.7


def test_an_auc_interval_is_even_on_the_logit_scale() -> None:
    draws = np.random.default_rng(0).normal(0.9, 0.02, 2000)
    low, high = resampled_auc_interval(0.9, draws, 100, 50)
    half = 1.959964 * draws.std() * np.sqrt(50 / 49) / 0.09
    logits = np.log([low / (1 - low), high / (1 - high)])
    assert logits == pytest.approx(np.log(9) + np.array([-half, half]), abs=1e-6)


@given(st.integers(1, 60), st.integers(1, 60), st.data())
@settings(max_examples=60, deadline=None)
def test_uncorrelated_shares_differ_by_newcombes_interval(first: int, second: int, data: st.DataObject) -> None:
    one, other = data.draw(st.integers(0, first)), data.draw(st.integers(0, second))
    limits, others = (proportion_confint(*counts, method="wilson") for counts in ((one, first), (other, second)))
    found = difference_interval(one / first, limits, other / second, others, 0.0)
    expected = confint_proportions_2indep(one, first, other, second, method="newcomb", compare="diff")
    assert found == pytest.approx(expected, abs=1e-9)
    narrower = difference_interval(one / first, limits, other / second, others, 0.5)
    assert narrower[1] - narrower[0] <= found[1] - found[0] + 1e-12


def test_a_calibration_error_that_noise_explains_reaches_down_to_zero() -> None:
    draws, noise = np.random.default_rng(2).normal([[0.08], [0.07]], 0.01, (2, 1000))
    low, high = calibration_error_interval(0.05, draws, noise)
    assert low == 0
    assert high == pytest.approx(0.05 + 1.96 * 0.01, abs=2e-3)
    low, _ = calibration_error_interval(0.2, draws, noise)
    assert low == pytest.approx(0.2 - 0.09, abs=2e-3)
