"""Checks a plan, its data and its weights before Flower runs it, since Flower would only say that the run failed."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.models.pretrained_weights import find_weights
from common.plan.families import FAMILIES
from common.plan.training_plan import TrainingPlan
from simulations.preflight.fold_checks import Fold, split_every_fold
from simulations.study.description import describe_study
from simulations.study.trainings import units_of
from simulations.study.variants import variants_of


@dataclass(frozen=True)
class CheckedPlan:
    """What a plan and its data tell about a run before it starts.

    Attributes
    ----------
    name : str
        The run's: that of the study, else that of the data set.
    sites : int
        The largest number of hospitals in a variant.
    trainings : int
        How many could go on at the same time.
    description : sequence of str
        The first lines of the run's log.
    folds : sequence of Fold
        Every split of the study, that of the plan's own choice first.
    """

    name: str
    sites: int
    trainings: int
    description: Sequence[str]
    folds: Sequence[Fold]


def check_plan(plan: TrainingPlan) -> CheckedPlan:
    """Read a plan's data, split each of its folds, and find its weights.

    Parameters
    ----------
    plan : TrainingPlan
        With absolute paths.

    Returns
    -------
    CheckedPlan
        What the launcher needs to know.

    Raises
    ------
    InputError
        If the data cannot be read, dealt out or split as the plan says, or weights are missing, damaged or of another
        family.
    """
    variants, missing = variants_of(plan)
    for variant in variants:
        weights = find_weights(FAMILIES[variant.plan.model.family], variant.plan.model.weights)
        if weights is not None and not weights.was_verified():
            weights.state_dict()
    sites = max(len(variant.consortium.sites) for variant in variants)
    units = [unit for variant in variants for unit in units_of(variant)]
    return CheckedPlan(
        name=plan.study.name or variants[0].consortium.dataset.name,
        sites=sites,
        trainings=sum(sites if unit.arm == "federated" else 1 for unit in units),
        description=describe_study(variants, missing),
        folds=split_every_fold(variants),
    )
