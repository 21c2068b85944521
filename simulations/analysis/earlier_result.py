"""Whether a finished run still stands for what its plan would give today."""

from importlib.metadata import version

from common.models.pretrained_weights import find_weights
from common.plan.families import FAMILIES
from common.plan.training_plan import TrainingPlan
from common.summary.summary import Summary
from simulations.study.variants import variants_of


def still_holds(summary: Summary, plan: TrainingPlan) -> bool:
    """Say whether a run of a plan was made from the images, the weights and the version that are here now.

    A plan names files and folders, and not what is in them.
    """
    variants, _ = variants_of(plan)
    first = variants[0]
    weights = find_weights(FAMILIES[first.plan.model.family], first.plan.model.weights)
    now = (version("rarefed"), first.consortium.digest, weights.sha256 if weights else None)
    return now == (summary.rarefed, summary.dataset.digest, summary.weights_sha256)
