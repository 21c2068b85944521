"""Where a global tail may come from: this hospital's own initial tail, moved by training and by nothing else.

A server that may choose the weights chooses what they compute: a crafted tail passes pixels of one image on to the
score, or to the update (Fowl et al. 2022, "Robbing the Fed"; Boenisch et al. 2023, "When the curious abandon honesty").
Training moves every weight by about the same small amount, since Adam divides each gradient by its size; a tail that
computes something else than the pretrained one is tens of times farther away. So the distance is bounded in every
tensor by itself, where a few weights cannot hide among many.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from client.rules.hospital_file import TailsSection
from client.rules.policy import Refusal
from common.models.classifier import build_model
from common.models.tail_layout import TailLayout, tail_digest
from common.plan.training_plan import TrainingPlan
from common.protocol.refusals import Rule

_PEAK = 5
"""Farthest that a single weight may be, in multiples of what the root mean square of its tensor may be."""


class InitialTail(NamedTuple):
    """The tail that every training of a plan starts from, and its layout."""

    layout: TailLayout
    values: NDArray[np.float32]


class SeenTail(NamedTuple):
    """The last tail that this hospital has accepted in a federation.

    Attributes
    ----------
    rounds : int
        How many rounds had made it.
    movement : float
        The farthest that an update of this hospital's own moved a tensor in this federation; 0 before the first.
    values : ndarray of float32, shape (layout.size,)
    """

    rounds: int
    movement: float
    values: NDArray[np.float32]


# To build a network takes a second, and a training asks twice: before it and after it.
@lru_cache(maxsize=1)
def initial_tail(plan: TrainingPlan) -> InitialTail:
    """Return the initial tail of a plan, as this hospital's own weights make it.

    Raises
    ------
    InputError
        If the pretrained weights are missing or damaged.
    """
    model = build_model(plan, len(plan.data.class_names) or 2)
    layout = TailLayout.of(model.tail, plan)
    return InitialTail(layout, layout.pack(model.tail))


def check_tail(
    limits: TailsSection, initial: InitialTail, tail: NDArray[np.float32], rounds: int, last: SeenTail | None
) -> None:
    """Refuse a tail that this hospital's training, and that of others like it, cannot have made.

    Parameters
    ----------
    limits : TailsSection
        The hospital's rule.
    initial : InitialTail
        Where every training of the plan starts.
    tail : ndarray of float32
        What the server sent.
    rounds : int
        How many rounds made it, by the server's word; after none it must be the initial one, bit for bit.
    last : SeenTail or None
        The last tail of the same federation; None for the first message, which may be of a late round.

    Raises
    ------
    Refusal
        By `Rule.TAILS`.
    """
    if tail.shape != initial.values.shape or not np.isfinite(tail).all():
        raise Refusal(Rule.TAILS)
    if rounds == 0 and tail_digest(tail) != tail_digest(initial.values):
        raise Refusal(Rule.TAILS)
    _check_distance(initial.layout, tail - initial.values, limits.reach)
    if last is not None and last.movement:
        apart = max(1, abs(rounds - last.rounds))
        _check_distance(initial.layout, tail - last.values, limits.step * last.movement * apart)


def movement(layout: TailLayout, change: NDArray[np.float32]) -> float:
    """Return how far a change moves the tensor that it moves farthest: the root mean square over its weights."""
    return max((_root_mean_square(part) for part in layout.tensors(change).values() if part.size), default=0.0)


def _check_distance(layout: TailLayout, change: NDArray[np.float32], limit: float) -> None:
    peak = float(np.abs(change).max(initial=0.0))
    if movement(layout, change) > limit or peak > _PEAK * limit:
        raise Refusal(Rule.TAILS)


def _root_mean_square(values: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
