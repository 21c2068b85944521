"""The trainings that need no federation: on pooled images, in one hospital, and from scratch.

They run in the workers of the simulation, each on one message, so that they share the machine with the federated arm.
"""

import time
from collections.abc import Callable, Sequence

from common.dataset.records import ImageRecord
from common.evaluation.evaluation_counts import EvaluationCounts
from common.evaluation.learning_curve import CurvePoint, curve_point_entry
from common.models.tail_layout import tail_digest
from common.plan.training_plan import TrainingPlan
from common.summary.arm import CurvePointRecord
from common.training.model_selection import ModelSelection
from common.training.trainer import EpochRange
from common.training.workbench import workbench
from simulations.sites.consortium import SimulatedConsortium, load_consortium
from simulations.study.outcomes import Outcome, rounded
from simulations.study.probe import fit_probe


def train_alone(plan: TrainingPlan, arm: str, site: str) -> Outcome:
    """Train one unit of an arm other than the federated one.

    Parameters
    ----------
    plan : TrainingPlan
        Of the unit.
    arm : str
        Key of an arm other than the federated one.
    site : str
        The hospital of a local training; else "".

    Returns
    -------
    Outcome
        Tested on the test patients of all hospitals.
    """
    # Where all images lie in one place, no strategy leaves some of the layers elsewhere.
    plan = plan.changed({"federation.strategy": "fedavg"})
    return TRAININGS[arm](plan, load_consortium(plan), site or arm)


def _train_on_pooled_images(plan: TrainingPlan, consortium: SimulatedConsortium, arm: str) -> Outcome:
    train, validation = consortium.pooled("train"), consortium.pooled("validation")
    return _train(plan, consortium, arm, train, validation, plan.study.centralized_batch_size)


def _train_at_one_site(plan: TrainingPlan, consortium: SimulatedConsortium, site: str) -> Outcome:
    split = next(one.split for one in consortium.sites if one.name == site)
    return _train(plan, consortium, site, split.train, split.validation, plan.training.batch_size)


def _fit_probe(plan: TrainingPlan, consortium: SimulatedConsortium, arm: str) -> Outcome:
    return fit_probe(plan, consortium)


TRAININGS: dict[str, Callable[[TrainingPlan, SimulatedConsortium, str], Outcome]] = {
    "centralized": _train_on_pooled_images,
    "scratch": _train_on_pooled_images,
    "local": _train_at_one_site,
    "probe": _fit_probe,
}
"""By arm; each takes the plan, the sites, and the name of the site or, on pooled images, of the arm."""


def _train(
    plan: TrainingPlan,
    consortium: SimulatedConsortium,
    name: str,
    train: Sequence[ImageRecord],
    validation: Sequence[ImageRecord],
    batch_size: int,
) -> Outcome:
    """Train on images that lie in one place, from the same initial weights as the federation."""
    started = time.monotonic()
    bench = workbench(plan, len(consortium.dataset.classes))
    trainer, layout, tail = bench.trainer, bench.layout, bench.trainer.model.tail
    bench.load(bench.initial_tail)
    epochs = plan.study.centralized_epochs
    selection = ModelSelection(plan.federation.select, epochs)
    learning_curve: list[CurvePoint] = []

    def after_epoch(epoch: int, loss: float) -> None:
        score = EvaluationCounts.of(validation, trainer.predict(validation), plan.exchange.score_bins)
        learning_curve.append(CurvePoint((epoch + 1) / epochs, loss, score))
        selection.offer(layout.pack(tail), {name: score})

    trainer.fit(train, EpochRange(0, epochs, epochs), name=name, batch_size=batch_size, on_epoch=after_epoch)
    kept = selection.kept
    assert kept is not None
    layout.unpack(kept.tail, tail)
    return Outcome(
        probabilities=rounded(trainer.predict(consortium.pooled("test"), plan.augmentation.tested)),
        learning_curve=[CurvePointRecord(**curve_point_entry(point)) for point in learning_curve],
        selected=kept.number / epochs,
        averaged_from=kept.averaged_from and kept.averaged_from / epochs,
        wall_s=time.monotonic() - started,
        samples_seen=epochs * len(train),
        trained_parameters=layout.size,
        total_parameters=trainer.model.parameter_count,
        weights_digest=tail_digest(kept.tail),
    )
