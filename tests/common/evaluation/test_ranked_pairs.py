"""An AUC that hospitals can add up: the pairs within each."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from common.evaluation.ranked_pairs import RankedPairs


def scores(classes: int, images: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    return labels, rng.dirichlet(1 + 2 * np.eye(classes)[labels].mean(axis=0), size=images).round(1 if seed else 6)


@pytest.mark.parametrize("seed", range(3))
def test_one_hospitals_auc_is_that_of_its_scores(seed: int) -> None:
    labels, probabilities = scores(2, 40, seed)
    ranking = RankedPairs.from_scores(labels, probabilities)
    assert ranking.auc() == pytest.approx(roc_auc_score(labels, probabilities[:, 1]))
    assert len(ranking.areas()) == 1


def test_with_more_classes_it_is_the_mean_of_each_against_the_rest() -> None:
    labels, probabilities = scores(3, 60, 0)
    ranking = RankedPairs.from_scores(labels, probabilities)
    each = [roc_auc_score(labels == index, probabilities[:, index]) for index in range(3)]
    assert ranking.areas() == pytest.approx(each)
    assert ranking.auc() == pytest.approx(np.mean(each))


def test_a_sum_counts_the_pairs_within_each_hospital() -> None:
    many, few = RankedPairs.from_areas([0.9], np.array([30, 10])), RankedPairs.from_areas([0.5], np.array([10, 10]))
    assert (many + few).auc() == pytest.approx((0.9 * 300 + 0.5 * 100) / 400)


def test_counts_that_a_hospital_may_declare_overflow_nothing() -> None:
    many = RankedPairs.from_areas([0.9], np.array([2**32, 2**32]))
    assert (many + many + many).auc() == pytest.approx(0.9)


def test_a_share_comes_back_as_it_went_in() -> None:
    for area in (0.87, 0.001, 1.0):
        assert RankedPairs.from_areas([area], np.array([7, 13])).areas() == [area]


def test_hospitals_whose_scores_lie_apart_are_not_compared() -> None:
    low, high = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.6, 0.7, 0.8, 0.9])
    ranking = None
    for labels, positive in (([0, 0, 0, 1], low), ([0, 1, 1, 1], high)):
        own = RankedPairs.from_scores(labels, np.stack([1 - positive, positive], axis=1))
        ranking = own if ranking is None else ranking + own
    assert ranking is not None
    assert ranking.auc() == 1


def test_what_is_sent_is_what_comes_back() -> None:
    labels, probabilities = scores(3, 60, 1)
    sent = RankedPairs.from_scores(labels, probabilities)
    got = RankedPairs.from_areas(sent.areas(), np.bincount(labels, minlength=3))
    assert (got.pairs == sent.pairs).all()
    assert got.ordered == pytest.approx(sent.ordered)


def test_without_pairs_there_is_no_auc() -> None:
    one_class = RankedPairs.from_scores([1, 1], [[0.5, 0.5], [0.1, 0.9]])
    assert one_class.auc() is None
    assert one_class.areas() == [0]
    assert RankedPairs.from_scores([], np.empty((0, 2))).auc() is None


@pytest.mark.parametrize("areas", [[], [0.5, 0.5], [1.1], [-0.1], [float("nan")]])
def test_areas_that_cannot_be_are_refused(areas: list[float]) -> None:
    with pytest.raises(ValueError, match="numbers from 0 to 1"):
        RankedPairs.from_areas(areas, np.array([3, 4]))
