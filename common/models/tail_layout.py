"""The layout of a tail in one flat vector: names, order and shapes, which both sides derive from the plan."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError
from common.plan.training_plan import TrainingPlan

if TYPE_CHECKING:  # imported where it is used: the server's commands need the layout's names, and no torch
    import torch
    from torch import nn


@dataclass(frozen=True)
class TailLayout:
    """Names and shapes of a tail's tensors, in their order in a flat vector."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, tail: "nn.Module", plan: TrainingPlan) -> Self:
        """Derive what travels: everything that the plan trains, except the personal layers.

        Raises
        ------
        InputError
            If the plan leaves the normalisation layers in the hospitals and the tail has none.
        """
        stays = set(cls.personal(tail, plan).names)
        return cls._of({name: tensor for name, tensor in _trained(tail, plan).items() if name not in stays})

    @classmethod
    def personal(cls, tail: "nn.Module", plan: TrainingPlan) -> Self:
        """Derive the personal layers, which a hospital trains and keeps to itself; empty but for the strategy fedbn.

        These are scale, shift and statistics of the normalisation layers (Li et al. 2021, FedBN, section 3). Raises as
        `of` does.
        """
        if plan.federation.strategy != "fedbn":
            return cls((), ())
        from torch import nn

        norms = [path for path, module in tail.named_modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
        if not norms:
            raise InputError(f"fedbn needs normalisation layers, and the tail of {plan.model.family} has none")
        trained = _trained(tail, plan)
        return cls._of({name: tensor for name, tensor in trained.items() if name.rpartition(".")[0] in norms})

    @classmethod
    def _of(cls, tensors: Mapping[str, "torch.Tensor"]) -> Self:
        return cls(tuple(tensors), tuple(tuple(tensor.shape) for tensor in tensors.values()))

    @property
    def size(self) -> int:
        """Number of values in the vector."""
        return sum(int(np.prod(shape)) for shape in self.shapes)

    def pack(self, tail: "nn.Module") -> NDArray[np.float32]:
        """Return the tail's tensors as one float32 vector of shape (size,)."""
        state = tail.state_dict()
        parts = [state[name].detach().cpu().float().numpy().ravel() for name in self.names]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def unpack(self, vector: NDArray[np.float32], tail: "nn.Module") -> None:
        """Write a vector of shape (size,) into the tail's tensors."""
        import torch

        state = tail.state_dict()
        with torch.no_grad():
            for name, values in self.tensors(vector).items():
                state[name].copy_(torch.from_numpy(values))

    def tensors(self, vector: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Cut a vector of shape (size,) into named arrays."""
        if vector.shape != (self.size,):
            raise ValueError(f"a tail of shape {vector.shape} does not fit a layout of {self.size} values")
        ends = accumulate(int(np.prod(shape)) for shape in self.shapes)
        return {
            name: vector[end - int(np.prod(shape)) : end].reshape(shape)
            for name, shape, end in zip(self.names, self.shapes, ends, strict=True)
        }


def _trained(tail: "nn.Module", plan: TrainingPlan) -> "dict[str, torch.Tensor]":
    """Return the trained parameters, and the BatchNorm statistics if the plan trains them."""
    tensors: dict[str, torch.Tensor] = {name: one for name, one in tail.named_parameters() if one.requires_grad}
    if plan.model.batch_norm == "train":
        # Counts of batches are integers; they matter only without a fixed momentum.
        tensors |= {name: buffer for name, buffer in tail.named_buffers() if buffer.is_floating_point()}
    return tensors


def tail_digest(vector: NDArray[np.float32]) -> str:
    """Return the SHA-256 of a tail's bytes: equal digests mean equal weights, bit for bit."""
    return hashlib.sha256(np.ascontiguousarray(vector, dtype="<f4").tobytes()).hexdigest()
