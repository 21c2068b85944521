"""A plan's model and trainer, built once in a process and used for every tail that comes."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.training.trainer import Trainer


class Workbench(NamedTuple):
    """What a process trains and scores a plan's tails with.

    Attributes
    ----------
    trainer : Trainer
        Its model holds whatever tail was loaded last.
    layout : TailLayout
        How a tail lies in its vector.
    initial_tail : ndarray of float32, shape (layout.size,)
        The tail that every training of the plan starts from.
    personal : TailLayout
        How the layers that never travel lie in their vector; empty for most strategies.
    initial_personal : ndarray of float32, shape (personal.size,)
        The pretrained ones.
    """

    trainer: Trainer
    layout: TailLayout
    initial_tail: NDArray[np.float32]
    personal: TailLayout
    initial_personal: NDArray[np.float32]

    def load(self, tail: NDArray[np.float32], personal: NDArray[np.float32] | None = None) -> None:
        """Load a tail, and with it a hospital's own layers; None: the pretrained ones."""
        self.layout.unpack(tail, self.trainer.model.tail)
        self.personal.unpack(self.initial_personal if personal is None else personal, self.trainer.model.tail)


def workbench(plan: TrainingPlan, classes: int) -> Workbench:
    """Return this process's model of a plan, built once; every user loads the tail that it shall hold."""
    return _build(plan.to_json(), classes)


# Three for the simulation: its trainings without a federation know no strategy, and its linear probe freezes more.
@lru_cache(maxsize=3)
def _build(plan_json: str, classes: int) -> Workbench:
    plan = TrainingPlan.from_json(plan_json)
    torch.set_num_threads(plan.training.threads)
    trainer = Trainer.of_plan(plan, classes)
    tail = trainer.model.tail
    layout, personal = TailLayout.of(tail, plan), TailLayout.personal(tail, plan)
    return Workbench(trainer, layout, layout.pack(tail), personal, personal.pack(tail))
