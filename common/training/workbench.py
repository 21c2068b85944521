"""A plan's model and trainer, built once per process and used for every tail."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.training.trainer import Trainer


class Workbench(NamedTuple):
    """The model, trainer and layouts with which a process trains and evaluates the tails of a plan.

    Attributes
    ----------
    trainer : Trainer
        Its model holds the tail that was loaded last.
    layout : TailLayout
        Layout of a tail in its vector.
    initial_tail : ndarray of float32, shape (layout.size,)
        The tail that every training of the plan starts from.
    personal : TailLayout
        Layout of the personal layers, which never travel, in their vector; empty for every strategy but fedbn.
    initial_personal : ndarray of float32, shape (personal.size,)
        The pretrained personal layers.
    """

    trainer: Trainer
    layout: TailLayout
    initial_tail: NDArray[np.float32]
    personal: TailLayout
    initial_personal: NDArray[np.float32]

    def load(self, tail: NDArray[np.float32], personal: NDArray[np.float32] | None = None) -> None:
        """Load a tail and a hospital's personal layers; None: the pretrained ones."""
        self.layout.unpack(tail, self.trainer.model.tail)
        self.personal.unpack(self.initial_personal if personal is None else personal, self.trainer.model.tail)


def workbench(plan: TrainingPlan, classes: int) -> Workbench:
    """Return this process's workbench of a plan; load a tail before every use, since others use it too."""
    return _build(plan.to_json(), classes)


# Three, for the simulation: the plans of the federated arm, of the arms without a federation, and of the linear probe.
@lru_cache(maxsize=3)
def _build(plan_json: str, classes: int) -> Workbench:
    plan = TrainingPlan.from_json(plan_json)
    torch.set_num_threads(plan.training.threads)
    trainer = Trainer.of_plan(plan, classes)
    tail = trainer.model.tail
    layout, personal = TailLayout.of(tail, plan), TailLayout.personal(tail, plan)
    return Workbench(trainer, layout, layout.pack(tail), personal, personal.pack(tail))
