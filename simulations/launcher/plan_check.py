"""Finds whatever is wrong with a plan or its data before Flower runs it and could only say "failed"."""

from collections.abc import Sequence
from dataclasses import dataclass

from common.models.pretrained_weights import find_weights
from common.plan.families import FAMILIES
from common.plan.training_plan import TrainingPlan
from simulations.study.description import describe_study
from simulations.study.trainings import units_of
from simulations.study.variants import variants_of


@dataclass(frozen=True)
class CheckedPlan:
    """What is known of a run before it starts.

    Attributes
    ----------
    name : str
        Of the run: the study's, else the data set's.
    sites : int
        The largest number of hospitals in a variant.
    trainings : int
        How many could go on at the same time.
    description : sequence of str
        The lines with which the run's log is going to begin.
    """

    name: str
    sites: int
    trainings: int
    description: Sequence[str]


def check_plan(plan: TrainingPlan) -> CheckedPlan:
    """Read a plan's data and find its weights.

    Raises
    ------
    InputError
        If the data cannot be read or dealt out as the plan says, or weights are missing, damaged or of another family.
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
    )
