"""Which tail becomes the model, by each rule."""

from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
import pytest

from common.evaluation.evaluation_counts import EvaluationCounts
from common.plan.selection import SelectionName
from common.training.model_selection import ModelSelection
from common.training.selection_rules import KeptModel
from tests.common.evaluation.drawn_counts import counts_of

COMPARING: tuple[SelectionName, ...] = ("best", "smoothed", "one-se")
Scores = Mapping[str, EvaluationCounts]


def select(rule: SelectionName, offers: Sequence[Scores], total: int = 0) -> KeptModel:
    """Offer tails that hold their number, all of them or the first of `total`; return what is kept."""
    selection = ModelSelection(rule, total or len(offers))
    for number, scores in enumerate(offers, start=1):
        tail = np.full(2, number, np.float32)
        kept = selection.offer(tail, scores)
        tail[:] = -1
    return kept


def north(*scores: float) -> list[Scores]:
    """Return one hospital's evaluations of tails that give its only image, a sick one, these probabilities."""
    return [{"north": counts_of([1], [score])} for score in scores]


def test_best_is_the_tail_of_lowest_validation_loss_and_last_the_last() -> None:
    offers = north(0.2, 0.9, 0.9, 0.2)
    best, last = select("best", offers), select("last", offers)
    assert (best.tail[0], best.number, best.averaged_from) == (3, 3, None)
    assert (last.tail[0], last.number, last.averaged_from) == (4, 4, None)


@pytest.mark.parametrize("rule", COMPARING)
def test_a_tail_without_a_loss_does_not_displace_one_with_a_loss(rule: SelectionName) -> None:
    # A round in which every hospital with validation images was left out.
    offers: list[Scores] = [{}, *north(0.9), {"north": counts_of([], [])}, {}, *north(0.2)]
    assert select(rule, offers, 5).tail[0] == 2


@pytest.mark.parametrize("rule", COMPARING)
def test_without_validation_images_the_last_tail_is_kept(rule: SelectionName) -> None:
    assert select(rule, [{"north": counts_of([], [])}] * 2).tail[0] == 2


@pytest.mark.parametrize("rule", COMPARING)
def test_tails_are_compared_on_the_hospitals_that_scored_both(rule: SelectionName) -> None:
    """The hospital with the hard images misses the second round, which is the worse one for the other."""
    offers = [
        {"easy": counts_of([1], [0.9]), "hard": counts_of([1], [0.2])},
        {"easy": counts_of([1], [0.8])},
        {"easy": counts_of([1], [0.9]), "hard": counts_of([1], [0.4])},
        {"stranger": counts_of([1], [1.0])},
    ]
    assert select(rule, offers).tail[0] == 3


def test_smoothed_distrusts_one_lucky_round() -> None:
    """Of 8 rounds, pairs are averaged."""
    offers = north(0.3, 0.3, 0.9, 0.3, 0.8, 0.8, 0.7, 0.7)
    assert select("best", offers).tail[0] == 3
    assert select("smoothed", offers).tail[0] == 6


def test_smoothed_compares_the_hospitals_that_scored_all_rounds_of_both_windows() -> None:
    """The hospital with the hard images misses the third round, from which on the other one does worse."""
    hard, easier = counts_of([1], [0.1]), counts_of([1], [0.9])
    offers: list[Scores] = [
        *[{"a": counts_of([1], [0.5]), "b": hard}] * 2,
        {"a": counts_of([1], [0.4])},
        *[{"a": counts_of([1], [0.4]), "b": easier}] * 2,
    ]
    assert select("smoothed", offers[:4], 8).tail[0] == 2
    assert select("smoothed", offers, 8).tail[0] == 5


def test_smoothed_does_not_cling_to_a_tail_that_no_hospital_can_judge() -> None:
    one, other = {"a": counts_of([1], [0.5])}, {"b": counts_of([1], [0.5])}
    # The losses of the second and the third tail are means of different hospitals.
    assert select("smoothed", [{}, one, other, one, one], 8).tail[0] == 5


def test_one_standard_error_keeps_the_latest_of_those_that_the_images_cannot_tell_from_the_best() -> None:
    def scored(*scores: float) -> Scores:
        return {"north": counts_of([1] * len(scores), list(scores))}

    best, near, far = scored(0.95, 0.95, 0.55, 0.55), scored(0.85, 0.85, 0.55, 0.55), scored(0.3, 0.3, 0.3, 0.3)
    losses = [next(iter(each.values())).loss for each in (best, near, far)]
    assert losses[0] < losses[1] < losses[0] + best["north"].standard_error < losses[2]
    kept = select("one-se", [far, near, best, near, far])
    assert (kept.tail[0], kept.number, kept.measure) == (4, 4, 3)
    # The error is that of the best tail, however many were kept since.
    assert select("one-se", [best, near, near, far]).tail[0] == 3


def test_mean_is_that_of_the_tails_of_the_last_quarter() -> None:
    for total, first in ((12, 10), (13, 10), (4, 4), (5, 4), (1, 1)):
        kept = select("mean", [{}] * total)
        np.testing.assert_allclose(kept.tail, np.arange(first, total + 1).mean(), rtol=1e-6)
        assert (kept.averaged_from or kept.number, kept.number) == (first, total)
        assert (kept.averaged_from is None) == (first == total)


def test_an_exponential_average_forgets_by_the_share_of_the_training() -> None:
    for total in (8, 16, 400):
        kept = select("ema", [{}] * total)
        ages = total - np.arange(1, total + 1)
        weights = np.exp(-8 * ages / total)
        weights[0] /= 1 - np.exp(-8 / total)  # the first tail stands for all before it
        np.testing.assert_allclose(kept.tail, np.average(np.arange(1, total + 1), weights=weights), rtol=1e-5)
        assert (kept.averaged_from, kept.number) == (1, total)


@pytest.mark.parametrize("rule", get_args(SelectionName))
def test_a_resumed_selection_goes_on_as_if_nothing_had_been(rule: SelectionName) -> None:
    rng = np.random.default_rng(1)
    tails = rng.normal(size=(9, 5)).astype(np.float32)
    offers = [{name: counts_of([0, 1], list(rng.uniform(0.3, 0.7, 2))) for name in ("a", "b")} for _ in tails]
    whole = ModelSelection(rule, len(tails))
    for done, (tail, scores) in enumerate(zip(tails, offers, strict=True)):
        resumed = ModelSelection(rule, len(tails), whole.kept, offers[:done])
        one, other = whole.offer(tail, scores), resumed.offer(tail, scores)
        assert one.tail.tobytes() == other.tail.tobytes()
        assert (one.number, one.measure, one.averaged_from) == (other.number, other.measure, other.averaged_from)
