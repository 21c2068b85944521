"""Roughly how much memory a run needs. It is an estimate: what a library allocates depends on its version and the CPU.

A worker with torch and timm takes 0.75 GB before the first image, Flower's and Ray's own processes together 1.2 GB. A
training adds its weights four times (with gradients and the two moments of AdamW), what backpropagation keeps of
each image of a batch, which grows with the image's area, and the pixels of the images that it has read, up to a limit.
Measured with torch on CPUs, batches of 8 images of 224 pixels.
"""

from typing import NamedTuple

from common.plan.training_plan import TrainingPlan
from common.system.resources import GIGABYTE, usable_cores

_FLOWER, _WORKER = 1.2, 0.75
_MEASURED_SIDE = 224
# A training keeps no more pixels, common/training/activations.py.
_MOST_PIXELS = 0.3
_USUAL_IMAGES = 200


class _Training(NamedTuple):
    """GB of one training: its weights and their companions, and of each image, with early stages frozen or none."""

    weights: float
    image_early: float
    image_none: float


_TRAININGS = {
    "efficientnet_lite0": _Training(0.1, 0.02, 0.09),
    "efficientnet_lite1": _Training(0.1, 0.02, 0.12),
    "efficientnet_lite2": _Training(0.12, 0.02, 0.13),
    "efficientnet_b0": _Training(0.1, 0.03, 0.12),
    "densenet121": _Training(0.15, 0.05, 0.2),
    "resnet50": _Training(0.4, 0.03, 0.12),
    "inception_v3": _Training(0.4, 0.03, 0.12),
    "vgg16": _Training(0.3, 0.1, 0.15),
}


class MemoryEstimate(NamedTuple):
    """An estimate in GB, and what it is made of, in words."""

    total: float
    described: str


def estimate_memory(plan: TrainingPlan) -> MemoryEstimate:
    """Estimate a run's need: that of as many trainings at the same time as there are cores, and of Flower."""
    workers = usable_cores()
    each = training_gigabytes(plan)
    described = f"{workers} trainings at a time of {each:.1f} GB each, and {_FLOWER:g} GB for Flower"
    return MemoryEstimate(workers * each + _FLOWER, described)


def training_gigabytes(plan: TrainingPlan) -> float:
    """Estimate what one worker takes while it trains the largest of a plan's networks, in GB."""
    return _WORKER + max(_training(plan, family) for family in plan.families)


def _training(plan: TrainingPlan, family: str) -> float:
    costs = _TRAININGS[family]
    whole = plan.model.freeze == "none" or "scratch" in plan.study.arm_names
    image = costs.image_none if whole else costs.image_early
    batch = max(plan.training.batch_size, plan.study.centralized_batch_size)
    size = plan.size_for(family)
    pixels = min(_MOST_PIXELS, _USUAL_IMAGES * 3 * plan.augmentation.read_side(size) ** 2 / GIGABYTE)
    return costs.weights + image * batch * (size / _MEASURED_SIDE) ** 2 + pixels
