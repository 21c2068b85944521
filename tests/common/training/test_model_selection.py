"""Which tail is selected, by validation loss."""

import numpy as np

from common.training.model_selection import ModelSelection
from tests.common.evaluation.drawn_counts import counts_of


def test_the_tail_of_lowest_validation_loss_is_selected() -> None:
    good, bad = counts_of([1], [0.9]), counts_of([1], [0.2])
    best, last = ModelSelection("best"), ModelSelection("last")
    for number, seen in enumerate([bad, good, good, bad], start=1):
        tail = np.full(2, number, np.float32)
        best.offer(tail, {"north": seen}, number / 4)
        last.offer(tail, {"north": seen}, number / 4)
        tail[:] = -1
    assert best.best is not None
    assert last.best is not None
    assert (best.best.tail[0], best.best.progress) == (3, 0.75)
    assert (last.best.tail[0], last.best.progress) == (4, 1.0)


def test_a_tail_without_a_loss_does_not_displace_one_with_a_loss() -> None:
    # A round in which every hospital with validation images was left out.
    selection = ModelSelection("best")
    for number, seen in enumerate(
        [None, counts_of([1], [0.9]), counts_of([], []), None, counts_of([1], [0.2])], start=1
    ):
        selection.offer(np.full(1, number, np.float32), {"north": seen} if seen else {}, number / 5)
    assert selection.best is not None
    assert (selection.best.tail[0], selection.best.progress) == (2, 0.4)


def test_without_validation_images_the_last_tail_is_selected() -> None:
    selection = ModelSelection("best")
    for number in (1, 2):
        selection.offer(np.full(1, number, np.float32), {"north": counts_of([], [])}, number / 2)
    assert selection.best is not None
    assert selection.best.tail[0] == 2


def test_tails_are_compared_on_the_hospitals_that_scored_both() -> None:
    """The hospital with the hard images misses the second round, which is the worse one for the other."""
    selection = ModelSelection("best")
    rounds = [
        {"easy": counts_of([1], [0.9]), "hard": counts_of([1], [0.2])},
        {"easy": counts_of([1], [0.8])},
        {"easy": counts_of([1], [0.9]), "hard": counts_of([1], [0.3])},
        {"stranger": counts_of([1], [1.0])},
    ]
    for number, seen in enumerate(rounds, start=1):
        selection.offer(np.full(1, number, np.float32), seen, number / 4)
    assert selection.best is not None
    assert selection.best.tail[0] == 3
