"""The device that a plan is computed on."""

import torch

from common.errors import InputError


def pick_device(wanted: str) -> torch.device:
    """Return the device of a plan: "auto" takes CUDA, then Apple's MPS, then the CPU.

    Raises
    ------
    InputError
        If this machine does not have the device asked for.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present[wanted]:
        raise InputError(f"training.device = {wanted}, but this machine has none: take auto or cpu")
    return torch.device(wanted)
