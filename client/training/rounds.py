"""What a hospital does in a round: evaluate the global tail on its own patients, train it, return the change."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from client.training.site import Site
from client.training.update_clipping import clip_update
from common.dataset.split_names import SplitName
from common.evaluation.evaluation_counts import EvaluationCounts
from common.plan.training_plan import TrainingPlan
from common.training.trainer import EpochRange
from common.training.workbench import workbench


@dataclass(frozen=True)
class SiteUpdate:
    """A hospital's answer to one round.

    Attributes
    ----------
    change : ndarray of float32, shape (layout.size,)
        Tail after local training minus the global tail.
    images : int
        Number of training images: the weight of the update in the average.
    train_loss : float
        Mean loss of the last local epoch.
    evaluation : EvaluationCounts
        Of the *incoming* global tail, on the validation images.
    personal : ndarray of float32, shape (personal.size,)
        The hospital's own layers after local training, which never leave it; empty for most strategies.
    """

    change: NDArray[np.float32]
    images: int
    train_loss: float
    evaluation: EvaluationCounts
    personal: NDArray[np.float32]


def trunk_digest(plan: TrainingPlan, site: Site) -> str:
    """Return the digest of the frozen trunk that this hospital computes with."""
    return workbench(plan, len(site.classes)).trainer.model.trunk_digest


def train_round(
    plan: TrainingPlan,
    site: Site,
    tail: NDArray[np.float32],
    round_number: int,
    personal: NDArray[np.float32] | None = None,
) -> SiteUpdate:
    """Evaluate and train a global tail.

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
    evaluation = evaluate_tail(plan, site, tail, "validation", personal)
    epochs = plan.federation.local_epochs
    local = EpochRange((round_number - 1) * epochs, round_number * epochs, plan.federation.rounds * epochs)
    proximal_mu = plan.federation.proximal_mu if plan.federation.strategy == "fedprox" else 0.0
    train_loss = trainer.fit(site.split.train, local, name=site.name, proximal_mu=proximal_mu)
    change = clip_update(bench.layout.pack(trained) - tail, plan.privacy.update_clip_norm)
    return SiteUpdate(change, len(site.split.train), train_loss, evaluation, bench.personal.pack(trained))


def evaluate_tail(
    plan: TrainingPlan,
    site: Site,
    tail: NDArray[np.float32],
    split: SplitName,
    personal: NDArray[np.float32] | None = None,
) -> EvaluationCounts:
    """Evaluate a global tail, with the site's own layers, on one of its splits; both stay loaded in the model."""
    bench = workbench(plan, len(site.classes))
    bench.load(tail, personal)
    records = getattr(site.split, split)
    views = plan.augmentation.tested if split == "test" else 0
    return EvaluationCounts.of(records, bench.trainer.predict(records, views), plan.exchange.score_bins)
