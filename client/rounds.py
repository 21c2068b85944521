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
    personal : ndarray of float32, shape (personal.size,)
        The hospital's own layers after local training; empty unless the strategy leaves it some. They never leave.
    """

    change: NDArray[np.float32]
    images: int
    train_loss: float
    score: Score
    personal: NDArray[np.float32]


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


def trunk_digest(plan: TrainingPlan, site: Site) -> str:
    """Return which frozen trunk this hospital computes with."""
    return workbench(plan, len(site.classes)).trainer.model.trunk_digest


def train_round(
    plan: TrainingPlan,
    site: Site,
    tail: NDArray[np.float32],
    round_number: int,
    personal: NDArray[np.float32] | None = None,
) -> SiteUpdate:
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
    personal : ndarray of float32, shape (personal.size,), or None
        The hospital's own layers before this round; None: the pretrained ones.

    Returns
    -------
    SiteUpdate
    """
    bench = workbench(plan, len(site.classes))
    trainer, trained = bench.trainer, bench.trainer.model.tail
    score = score_tail(plan, site, tail, "validation", personal)
    epochs = plan.federation.local_epochs
    budget = Budget((round_number - 1) * epochs, round_number * epochs, plan.federation.rounds * epochs)
    proximal_mu = plan.federation.proximal_mu if plan.federation.strategy == "fedprox" else 0.0
    train_loss = trainer.fit(site.split.train, budget, name=site.name, proximal_mu=proximal_mu)
    change = _clip(bench.layout.pack(trained) - tail, plan.privacy.update_clip_norm)
    return SiteUpdate(change, len(site.split.train), train_loss, score, bench.personal.pack(trained))


def score_tail(
    plan: TrainingPlan,
    site: Site,
    tail: NDArray[np.float32],
    split: SplitName,
    personal: NDArray[np.float32] | None = None,
) -> Score:
    """Score a global tail, with the site's own layers, on one of its splits; leaves both loaded in the model."""
    bench = workbench(plan, len(site.classes))
    bench.load(tail, personal)
    records = getattr(site.split, split)
    views = plan.augmentation.tested if split == "test" else 0
    return Score.of(records, bench.trainer.predict(records, views), plan.exchange.score_bins)


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


def _clip(change: NDArray[np.float32], limit: float) -> NDArray[np.float32]:
    norm = float(np.linalg.norm(change))
    return change if not limit or norm <= limit else (change * (limit / norm)).astype(np.float32)
