"""A plan that trains in seconds, for tests."""

from pathlib import Path

import torch

from common.models.classifier import build_model
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from common.training.activation_cache import ActivationCache
from common.training.activations import Activations
from common.training.trainer import Trainer

SMALL: dict[str, Scalar] = {"data.size": 64, "augmentation.views": 3, "training.learning_rate": 1e-3}


def plan(**changes: Scalar) -> TrainingPlan:
    return TrainingPlan.from_flat(SMALL | {key.replace("__", "."): value for key, value in changes.items()})


def trainer(chosen: TrainingPlan, cache: Path) -> Trainer:
    return Trainer(chosen, build_model(chosen, 2), ActivationCache(cache))


CPU = torch.device("cpu")


def views(cache: ActivationCache | None, chosen: TrainingPlan | None = None) -> Activations:
    chosen = chosen or plan()
    return Activations(chosen, build_model(chosen, 2), CPU, cache)
