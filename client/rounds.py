"""What a hospital does in a round: score the global tail on its own patients, train it, and give back the change."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from client.site import Site
from common.exchange import TailLayout
from common.plan import TrainingPlan
from common.scoring import Score
from common.training import Budget, Trainer

SplitName = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class SiteUpdate:
    """A hospital's answer to one round.

    Attributes
    ----------
    change : ndarray of float32, shape (layout.size,)
        Tail after local training minus the global tail.
    images : int
        Training images: the weight in the average.
    train_loss : float
        Mean loss of the last local pass.
    score : Score
        Of the *incoming* global tail on the validation images.
    """

    change: NDArray[np.float32]
    images: int
    train_loss: float
    score: Score


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
    """

    trainer: Trainer
    layout: TailLayout
    initial_tail: NDArray[np.float32]


def trunk_digest(plan: TrainingPlan, site: Site) -> str:
    """Return which frozen trunk this hospital computes with."""
    return workbench(plan, len(site.classes)).trainer.model.trunk_digest


def train_round(plan: TrainingPlan, site: Site, tail: NDArray[np.float32], round_number: int) -> SiteUpdate:
    """Score and train a global tail.

    Parameters
    ----------
    plan : TrainingPlan
        The coordinator's plan.
    site : Site
        This hospital.
    tail : ndarray of float32, shape (layout.size,)
        The global tail.
    round_number : int
        From 1 to `federation.rounds`.

    Returns
    -------
    SiteUpdate
    """
    trainer, layout, _ = workbench(plan, len(site.classes))
    score = score_tail(plan, site, tail, "validation")
    epochs = plan.federation.local_epochs
    budget = Budget((round_number - 1) * epochs, round_number * epochs, plan.federation.rounds * epochs)
    proximal_mu = plan.federation.proximal_mu if plan.federation.strategy == "fedprox" else 0.0
    train_loss = trainer.fit(site.split.train, budget, name=site.name, proximal_mu=proximal_mu)
    change = _clip(layout.pack(trainer.model.tail) - tail, plan.privacy.update_clip_norm)
    return SiteUpdate(change, len(site.split.train), train_loss, score)


def score_tail(plan: TrainingPlan, site: Site, tail: NDArray[np.float32], split: SplitName) -> Score:
    """Score a global tail on one of the site's splits; leaves it loaded in the model."""
    trainer, layout, _ = workbench(plan, len(site.classes))
    layout.unpack(tail, trainer.model.tail)
    records = getattr(site.split, split)
    views = plan.augmentation.tested if split == "test" else 0
    return Score.of(records, trainer.predict(records, views), plan.exchange.score_bins)


def workbench(plan: TrainingPlan, classes: int) -> Workbench:
    """Return this process's model of a plan, built once; every user loads the tail that it shall hold."""
    return _build(plan.to_json(), classes)


# Two, since the simulation's linear probe freezes more of the network than the plan that it belongs to.
@lru_cache(maxsize=2)
def _build(plan_json: str, classes: int) -> Workbench:
    plan = TrainingPlan.from_json(plan_json)
    torch.set_num_threads(plan.training.threads)
    trainer = Trainer.of_plan(plan, classes)
    layout = TailLayout.of(trainer.model.tail, plan.model.batch_norm)
    return Workbench(trainer, layout, layout.pack(trainer.model.tail))


def _clip(change: NDArray[np.float32], limit: float) -> NDArray[np.float32]:
    norm = float(np.linalg.norm(change))
    return change if not limit or norm <= limit else (change * (limit / norm)).astype(np.float32)
