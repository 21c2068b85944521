"""A pretrained network cut in two: the frozen trunk, which stays, and the trained tail, which travels."""

import hashlib
from collections import OrderedDict

import timm
import torch
from torch import nn

from common.models.pretrained_weights import PretrainedWeights, find_weights, pretrained_settings
from common.plan.families import FAMILIES, Family
from common.plan.training_plan import TrainingPlan


class Classifier(nn.Module):
    """`tail(trunk(images))` gives one logit per class.

    Attributes
    ----------
    trunk : nn.Sequential
        The frozen early stages; always in eval mode, without gradients. May be empty.
    tail : nn.Sequential
        The trained later stages and, as `head`, pooling, dropout and the linear classifier.
    classes : int
        Number of logits.
    mean, std : tuple of float
        Normalisation that the weights were trained with, of RGB values in [0, 1].
    weights : PretrainedWeights or None
        The pretrained weights; None: randomly initialised.
    trunk_digest : str
        SHA-256 of the trunk's structure and float32 tensors: equal digests give equal activations.
    """

    def __init__(
        self,
        trunk: nn.Sequential,
        tail: nn.Sequential,
        *,
        classes: int,
        family: Family,
        weights: PretrainedWeights | None,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        freeze_batch_norm: bool,
    ) -> None:
        super().__init__()
        # Computed before the trunk is moved to another device or number format.
        self.trunk_digest = _digest(trunk)
        self.trunk = trunk.eval().requires_grad_(False)
        self.tail = tail
        self.classes, self.family, self.weights = classes, family, weights
        self.mean, self.std = mean, std
        self._freeze_batch_norm = freeze_batch_norm

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits of shape (N, classes) for normalised images (N, 3, size, size)."""
        logits: torch.Tensor = self.tail(self.trunk(images))
        return logits

    @property
    def value_count(self) -> int:
        """Number of values in all tensors, BatchNorm's statistics included: the size of the whole model."""
        return sum(tensor.numel() for tensor in self.state_dict().values())

    @property
    def parameter_count(self) -> int:
        """Number of weights, frozen ones included."""
        return sum(parameter.numel() for parameter in self.parameters())

    def train(self, mode: bool = True) -> "Classifier":
        """Set training mode, except for the trunk and for BatchNorm with pretrained statistics."""
        super().train(mode)
        self.trunk.eval()
        if self._freeze_batch_norm:
            # Statistics of a few dozen images are worse than ImageNet's, and so is their average over hospitals.
            for module in self.tail.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self


def _digest(trunk: nn.Sequential) -> str:
    digest = hashlib.sha256(repr(trunk).encode())
    for name, tensor in trunk.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().contiguous().numpy().tobytes())
    return digest.hexdigest()


def build_model(plan: TrainingPlan, classes: int) -> Classifier:
    """Build the network of a plan: pretrained stages and a new head, frozen up to the stage that the plan names.

    The same plan gives the same tensors everywhere: what is not pretrained is drawn from `training.seed`.

    Parameters
    ----------
    plan : TrainingPlan
        `model.*` and `training.seed` are read.
    classes : int
        Number of classes, at least 2.

    Returns
    -------
    Classifier
        In eval mode.

    Raises
    ------
    InputError
        If the pretrained weights cannot be found or do not fit.
    """
    family = FAMILIES[plan.model.family]
    weights = find_weights(family, plan.model.weights)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.training.seed)
        network = timm.create_model(family.timm_name, pretrained=False)
        head = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                flatten=nn.Flatten(),
                dropout=nn.Dropout(plan.model.dropout),
                classifier=nn.Linear(family.features, classes),
            )
        )
    if weights is not None:
        network.load_state_dict(weights.state_dict())
    settings = pretrained_settings(family)
    frozen = family.frozen_stages(plan.model.freeze)
    stages = [(stage.name, _sequence(network, stage.modules)) for stage in family.stages]
    return Classifier(
        nn.Sequential(OrderedDict(stages[:frozen])),
        nn.Sequential(OrderedDict([*stages[frozen:], ("head", head)])),
        classes=classes,
        family=family,
        weights=weights,
        mean=tuple(settings["mean"]),
        std=tuple(settings["std"]),
        freeze_batch_norm=plan.model.batch_norm == "frozen",
    ).eval()


def _sequence(network: nn.Module, paths: tuple[str, ...]) -> nn.Module:
    modules = [network.get_submodule(path) for path in paths]
    return modules[0] if len(modules) == 1 else nn.Sequential(*modules)
