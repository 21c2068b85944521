"""The paired tests against statsmodels, published numbers, their definitions, and by enumeration."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm
from statsmodels.stats.contingency_tables import mcnemar

from common.statistics.paired_tests import DeLongTest, RankedSet, delong_test, mcnemar_test, sign_flip_test

# E. R. DeLong et al. (1988), section 4: albumin, total protein, K-G score and outcome of 43 complete patients of the
# ovarian cancer study, as reprinted in the SAS/STAT guide (PROC LOGISTIC, "Comparing Receiver Operating Characteristic
# Curves").
OVARIAN = """
3.0 5.8 10 0  3.2 6.3 5 1  3.9 6.8 3 1  2.8 4.8 6 0  3.2 5.8 3 1  0.9 4.0 5 0  2.5 5.7 8 0  1.6 5.6 5 1
3.8 5.7 5 1   3.7 6.7 6 1  3.2 5.4 4 1  3.8 6.6 6 1  4.1 6.6 5 1  3.6 5.7 5 1  4.3 7.0 4 1  3.6 6.7 4 0
2.3 4.4 6 1   4.2 7.6 4 0  4.0 6.6 6 0  3.5 5.8 6 1  3.8 6.8 7 1  3.0 4.7 8 0  4.5 7.4 5 1  3.7 7.4 5 1
3.1 6.6 6 1   4.1 8.2 6 1  4.3 7.0 5 1  4.3 6.5 4 1  3.2 5.1 5 1  2.6 4.7 6 1  3.3 6.8 6 0  1.7 4.0 7 0
3.7 6.1 5 1   3.3 6.3 7 1  4.2 7.7 6 1  3.5 6.2 5 1  2.9 5.7 9 0  2.1 4.8 7 1  2.8 6.2 8 0  4.0 7.0 7 1
3.3 5.7 6 1   3.7 6.9 5 1  3.6 6.6 5 1
"""


def ranked(score: NDArray[np.float64], folds: NDArray[np.int64] | None = None) -> RankedSet:
    """Two columns out of any score; only its order counts."""
    return RankedSet(np.stack([-score, score], axis=1), np.zeros(len(score), np.int64) if folds is None else folds)


def names(count: int) -> list[str]:
    return [f"p{index}" for index in range(count)]


def test_mcnemar_counts_only_where_they_differ() -> None:
    first = np.array([True] * 50 + [True] * 8 + [False] * 2 + [False] * 5)
    second = np.array([True] * 50 + [False] * 8 + [True] * 2 + [False] * 5)
    test = mcnemar_test(first, second)
    assert (test.only_first, test.only_second, test.total) == (8, 2, 65)
    assert test.p_value == pytest.approx(2 * sum(math.comb(10, k) for k in range(3)) / 2**10)
    assert mcnemar_test(first, first).p_value == 1.0
    assert mcnemar_test([], []).p_value == 1.0
    with pytest.raises(ValueError, match="different images"):
        mcnemar_test(first, second[1:])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
@settings(max_examples=80, deadline=None)
def test_one_set_with_one_image_a_patient_is_mcnemars_test(pairs: list[tuple[bool, bool]]) -> None:
    first, second = np.array(pairs).T
    table = [[np.sum(first & second), np.sum(first & ~second)], [np.sum(~first & second), np.sum(~first & ~second)]]
    expected = min(1.0, mcnemar(table, exact=True).pvalue)
    assert mcnemar_test(first, second).p_value == pytest.approx(expected)
    assert sign_flip_test([first], [second], names(len(pairs))) == pytest.approx(expected)


@pytest.mark.parametrize(("sets", "other_sets"), [(1, 1), (3, 3), (3, 2), (2, 6)])
def test_the_sign_flip_test_by_enumeration(sets: int, other_sets: int) -> None:
    generator = np.random.default_rng(sets)
    patients = np.array([f"p{index % 9}" for index in range(14)])
    first, second = generator.random((sets, 14)) < 0.8, generator.random((other_sets, 14)) < 0.5
    by_image = first.mean(axis=0) - second.mean(axis=0)
    by_patient = np.array([by_image[patients == name].sum() for name in np.unique(patients)])
    sums = np.array([np.dot(signs, by_patient) for signs in itertools.product([-1, 1], repeat=9)])
    expected = np.mean(np.abs(sums) >= abs(by_patient.sum()) - 1e-9)
    assert sign_flip_test(first, second, patients) == pytest.approx(expected)
    assert sign_flip_test(second, first, patients) == pytest.approx(expected)


def test_repeating_the_same_predictions_adds_no_evidence() -> None:
    generator = np.random.default_rng(5)
    first, second = generator.random((1, 60)) < 0.9, generator.random((1, 60)) < 0.75
    patients = np.array(names(60))
    once = sign_flip_test(first, second, patients)
    assert sign_flip_test(np.tile(first, (3, 1)), np.tile(second, (3, 1)), patients) == pytest.approx(once)
    doubled = sign_flip_test(np.tile(first, 2), np.tile(second, 2), np.tile(patients, 2))
    assert doubled == pytest.approx(once)


def test_the_sign_flip_test_refuses_other_images() -> None:
    with pytest.raises(ValueError, match="different images"):
        sign_flip_test([[True]], [[True, False]], ["a"])
    with pytest.raises(ValueError, match="different images"):
        sign_flip_test(np.zeros((0, 2)), [[True, False]], ["a", "b"])


def standard_error(test: DeLongTest) -> float:
    """Return the standard error of the difference, by the normal distribution that its p-value comes from."""
    return float(abs(test.difference) / norm.isf(test.p_value / 2))


def test_delong_reproduces_the_published_example() -> None:
    albumin, protein, kg_score, outcome = np.array(OVARIAN.split(), dtype=float).reshape(-1, 4).T
    labels, patients = outcome.astype(int), names(len(outcome))
    reference = [ranked(10 - kg_score)]
    # Difference from the K-G score, standard error and p-value, as the SAS/STAT guide prints them.
    for score, published in [(albumin, (0.0108, 0.0953, 0.9102)), (protein, (-0.0780, 0.1046, 0.4561))]:
        test = delong_test(labels, [ranked(score)], reference, patients)
        assert test is not None
        assert (test.difference, standard_error(test), test.p_value) == pytest.approx(published, abs=6e-5)


def draw(seed: int, images: int = 60) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, images)
    common = generator.normal(size=images)
    return (
        labels,
        labels + common + generator.normal(size=images),
        0.5 * labels + common + generator.normal(size=images),
    )


def test_delong_against_its_definition_with_ties() -> None:
    labels, first, second = draw(2)
    first, second = first.round(), second.round()
    components = []
    for score in (first, second):
        positive, negative = score[labels == 1], score[labels == 0]
        kernel = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
        components.append((kernel.mean(axis=1), kernel.mean(axis=0)))
    difference = components[0][0].mean() - components[1][0].mean()
    variance = sum((one - other).var(ddof=1) / one.size for one, other in zip(*components, strict=True))
    test = delong_test(labels, [ranked(first)], [ranked(second)], names(60))
    assert test is not None
    assert test.difference == pytest.approx(difference)
    assert standard_error(test) == pytest.approx(math.sqrt(variance))
    swapped = delong_test(labels, [ranked(second)], [ranked(first)], names(60))
    assert swapped is not None
    assert (swapped.difference, swapped.p_value) == pytest.approx((-test.difference, test.p_value))


def test_copies_of_images_and_of_sets_add_no_evidence() -> None:
    labels, first, second = draw(3)
    once = delong_test(labels, [ranked(first)], [ranked(second)], names(60))
    thrice = delong_test(labels, [ranked(first)] * 3, [ranked(second)] * 2, names(60))
    copied = delong_test(
        np.tile(labels, 2), [ranked(np.tile(first, 2))], [ranked(np.tile(second, 2))], np.tile(names(60), 2)
    )
    assert once is not None
    for other in (thrice, copied):
        assert other is not None
        assert other.difference == pytest.approx(once.difference)
        assert other.p_value == pytest.approx(once.p_value)


def test_clusters_of_both_classes_against_the_jackknife() -> None:
    labels, first, second = draw(4, 160)
    generator = np.random.default_rng(4)
    patients = np.array([f"p{index // 2}" for index in range(160)])
    shift = generator.normal(size=80).repeat(2)
    sets = [[ranked(score + weight * shift)] for score, weight in ((first, 1.0), (second, 0.3))]

    def difference(kept: NDArray[np.bool_]) -> float:
        areas = []
        for (one,) in sets:
            score = one.probabilities[kept, 1]
            positive, negative = score[labels[kept] == 1], score[labels[kept] == 0]
            areas.append((positive[:, None] > negative).mean())
        return float(areas[0] - areas[1])

    left_out = np.array([difference(patients != name) for name in np.unique(patients)])
    jackknife = math.sqrt(79 / 80 * ((left_out - left_out.mean()) ** 2).sum())
    test = delong_test(labels, sets[0], sets[1], patients)
    assert test is not None
    assert standard_error(test) == pytest.approx(jackknife, rel=0.02)
    # As if all images were independent, the test would be surer than it may be.
    naive = delong_test(labels, sets[0], sets[1], names(160))
    assert naive is not None
    assert standard_error(naive) != pytest.approx(jackknife, rel=0.02)


def test_only_scores_of_one_fold_are_ranked() -> None:
    labels, first, second = draw(6)
    folds = np.arange(60) % 3
    plain = delong_test(labels, [ranked(first, folds)], [ranked(second, folds)], names(60))
    shifted = delong_test(labels, [ranked(first + 10 * folds, folds)], [ranked(second, folds)], names(60))
    assert plain == shifted
    assert plain is not None
    areas = []
    for score in (first, second):
        pairs = [
            (score[(folds == fold) & (labels == 1)][:, None] > score[(folds == fold) & (labels == 0)])
            for fold in range(3)
        ]
        areas.append(sum(part.sum() for part in pairs) / sum(part.size for part in pairs))
    assert plain.difference == pytest.approx(areas[0] - areas[1])


def test_more_classes_average_one_vs_rest() -> None:
    generator = np.random.default_rng(8)
    labels = generator.integers(0, 3, 90)
    one, other = (generator.dirichlet(np.ones(3), 90) + strength * np.eye(3)[labels] for strength in (0.5, 0.1))
    folds = np.zeros(90, dtype=np.int64)
    test = delong_test(labels, [RankedSet(one, folds)], [RankedSet(other, folds)], names(90))
    assert test is not None
    assert test.difference > 0
    assert test.p_value < 0.01
    # Two of three columns that say the same as one: the general form meets the special one, up to its correction.
    binary, first, second = draw(9, 200)
    three = [np.stack([-score, score, np.zeros(200)], axis=1) for score in (first, second)]
    general = delong_test(
        binary, *([RankedSet(scores, np.zeros(200, np.int64))] for scores in three), patients=names(200)
    )
    special = delong_test(binary, [ranked(first)], [ranked(second)], names(200))
    assert general is not None
    assert special is not None
    assert general.difference == pytest.approx(special.difference)
    assert standard_error(general) == pytest.approx(standard_error(special), rel=0.01)


def test_where_delong_says_nothing() -> None:
    labels = np.array([0, 0, 1, 1])
    perfect, constant = ranked(np.array([0.1, 0.2, 0.8, 0.9])), ranked(np.zeros(4))
    same = delong_test(labels, [perfect], [perfect], names(4))
    assert same is not None
    assert (same.difference, same.p_value) == (0, 1)
    assert delong_test(labels, [perfect], [constant], names(4)) is None
    assert delong_test(labels, [perfect], [constant], ["a", "b", "c", "c"]) is None
    assert delong_test(np.ones(4), [perfect], [constant], names(4)) is None
