"""What a training's last bits depend on besides plan and images: device, number format, processor and libraries."""

import platform
from functools import cache
from importlib.metadata import version

import torch

from common.imaging.decoder_version import decoder_digest
from common.plan.training_plan import TrainingPlan
from common.training.device import pick_device

_LIBRARIES = ("torch", "torchvision", "timm", "numpy", "albumentations", "opencv-python-headless", "scikit-learn")


def computing_environment(plan: TrainingPlan) -> dict[str, str]:
    """Return the device, the trunk's number format, the processor's features and the versions of the libraries.

    Two trainings of equal plan, images and environment give equal bits.

    Raises
    ------
    InputError
        If this machine does not have the plan's device.
    """
    device = pick_device(plan.training.device)
    return {
        "device": _device_name(device),
        "number format": str(trunk_dtype(plan, device)).removeprefix("torch."),
        "processor": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        **_libraries(),
    }


def trunk_dtype(plan: TrainingPlan, device: torch.device) -> torch.dtype:
    """Pick the trunk's number format: bfloat16 halves its time where the device has it, at the same accuracy."""
    if plan.training.precision == "float32":
        return torch.float32
    if device.type == "cpu":
        # Older releases of torch cannot tell, and get the format that is never wrong.
        found = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return torch.bfloat16 if found.get("avx512_bf16") or found.get("amx_bf16") else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.float32


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


@cache
def _libraries() -> dict[str, str]:
    return {name: version(name) for name in _LIBRARIES} | {"decoders": decoder_digest()[:12]}
