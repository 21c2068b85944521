"""Which tails a hospital takes for trained ones."""

import numpy as np
import pytest
from numpy.typing import NDArray

from client.exposure.tail_origin import InitialTail, SeenTail, check_tail, initial_tail, movement
from client.rules.hospital_file import TailsSection
from client.rules.policy import Refusal
from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.protocol.refusals import Rule
from common.training.workbench import workbench

LAYOUT = TailLayout(("large", "small"), ((50, 20), (4,)))
ORIGIN = np.linspace(-1, 1, LAYOUT.size, dtype=np.float32)
INITIAL = InitialTail(LAYOUT, ORIGIN)
LIMITS = TailsSection(step=10, reach=0.1)


def moved(by: float, tensor: str = "large") -> NDArray[np.float32]:
    change = np.zeros(LAYOUT.size, np.float32)
    LAYOUT.tensors(change)[tensor][...] = by
    return ORIGIN + change


def refused(tail: NDArray[np.float32], rounds: int, last: SeenTail | None = None) -> bool:
    try:
        check_tail(LIMITS, INITIAL, tail, rounds, last)
    except Refusal as no:
        return no.rule == Rule.TAILS
    return False


def test_the_first_tail_is_this_hospital_s_own_bit_for_bit() -> None:
    other = ORIGIN.copy()
    other[0] = np.nextafter(other[0], np.float32(0))
    assert not refused(ORIGIN, 0)
    assert refused(other, 0)
    assert refused(other, 0, SeenTail(3, 0.01, ORIGIN)), "also where a later round was seen before"


def test_a_late_joiner_takes_a_tail_that_training_can_have_made() -> None:
    assert not refused(moved(0.05), 7)
    assert refused(moved(0.2), 7)


def test_a_small_tensor_does_not_hide_behind_a_large_one() -> None:
    tail = moved(0.2, "small")
    assert np.linalg.norm(tail - ORIGIN) < np.linalg.norm(moved(0.05) - ORIGIN)
    assert refused(tail, 7)


def test_a_single_weight_does_not_hide_in_a_tensor() -> None:
    tail = ORIGIN.copy()
    tail[17] += 0.6
    assert movement(LAYOUT, tail - ORIGIN) < LIMITS.reach
    assert refused(tail, 7)


def test_each_round_moves_at_most_a_multiple_of_what_own_training_does() -> None:
    last = SeenTail(2, 0.001, moved(0.02))
    assert not refused(moved(0.029), 3, last)
    assert refused(moved(0.031), 3, last)
    assert not refused(moved(0.039), 4, last), "a round that this hospital missed moved it too"


@pytest.mark.parametrize("tail", [ORIGIN[:-1], np.full_like(ORIGIN, np.nan), np.full_like(ORIGIN, np.inf)])
def test_what_is_no_tail_is_refused(tail: NDArray[np.float32]) -> None:
    assert refused(tail, 3)


def test_the_initial_tail_is_what_every_training_starts_from() -> None:
    plan = TrainingPlan.from_flat({"model.freeze": "block6", "data.classes": "a,b,c", "training.seed": 5})
    assert (initial_tail(plan).values == workbench(plan, 3).initial_tail).all()
