"""Reads published weights of a family, whichever names their tensors have, under timm's names."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from common.errors import InputError
from common.plan.families import Family

if TYPE_CHECKING:  # torch and timm are imported where tensors are read: to find a file takes neither
    import torch

# Published for DenseNet with a dot that no module's name can have any more: denselayer1.norm.1.weight.
_FORMER_NAME = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.(?=\d)")
# Many published files lack the count of batches, which nothing reads.
_COUNT = "num_batches_tracked"


def read_weight_file(path: Path, family: Family) -> "dict[str, torch.Tensor]":
    """Return the tensors of a file under the names that timm gives them, ImageNet classifier included.

    Packages and torchvision name the tensors of some architectures otherwise, but keep their order.

    Parameters
    ----------
    path : Path
        A safetensors file, or a ``.pth`` file of tensors, of which no code is run.
    family : Family
        Whose weights they must be.

    Raises
    ------
    InputError
        If the file is neither, or its tensors are not those of the family.
    """
    import timm

    expected = timm.create_model(family.timm_name, pretrained=False).state_dict()
    weights = {name: tensor for name, tensor in expected.items() if not name.endswith(_COUNT)}
    found = {_FORMER_NAME.sub(r"\1", name): tensor for name, tensor in _read(path).items() if not name.endswith(_COUNT)}
    if not weights.keys() <= found.keys() and _alike_in_order(found, weights):
        found = {name: own.reshape(weights[name].shape) for name, own in zip(weights, found.values(), strict=True)}
    for name, tensor in weights.items():
        if name not in found or found[name].shape != tensor.shape:
            what = "lacks" if name not in found else f"has the shape {tuple(found[name].shape)} for"
            raise InputError(f"weights file {path} {what} {name}: these are not weights of {family.timm_name}")
    return expected | {name: found[name] for name in weights}


def _alike_in_order(found: "dict[str, torch.Tensor]", weights: "dict[str, torch.Tensor]") -> bool:
    """Tell whether as many tensors of as many values stand there; timm's VGG has convolutions for linear layers."""
    return len(found) == len(weights) and all(
        own.numel() == tensor.numel() for own, tensor in zip(found.values(), weights.values(), strict=True)
    )


def _read(path: Path) -> "dict[str, torch.Tensor]":
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
    try:
        # Without weights_only, a pickle could run any code.
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged file PyTorch raises nearly anything
        raise InputError(f"weights file {path} cannot be read as safetensors ({reason}), nor as a .pth file") from error
    if not isinstance(found, dict) or not all(isinstance(tensor, torch.Tensor) for tensor in found.values()):
        raise InputError(f"weights file {path} holds something else than named tensors: give a file of the state alone")
    return found
