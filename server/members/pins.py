"""The packages that hospitals install, by version and digest, as `make pins` writes them."""

import re
from importlib import resources

PINS = "requirements.txt"
"""The whole list, for machines with and without a GPU: all of it lies on PyPI."""

CPU_PINS = "requirements-cpu.txt"
"""The same without PyTorch and CUDA: PyPI's PyTorch for Linux has CUDA and does not load without it."""

_PYTORCH = ("torch", "torchvision")
_CUDA = re.compile(r"nvidia-|cuda-|triton$")
_ENTRY = re.compile(r"\n(?=\S)")  # digests stand on lines of their own, indented
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def read_pins() -> str:
    """Return the whole list."""
    return resources.files("server.members").joinpath("kit", PINS).read_text(encoding="utf-8")


def without_pytorch(pins: str) -> tuple[str, list[str]]:
    """Return a list without PyTorch and what it needs for GPUs alone, and PyTorch's packages, as in ``torch==2.9``.

    Wheels of PyTorch for CPUs have the same versions; PyPI does not have them, so their digests cannot be in the list.
    """
    entries = {entry: _name(entry) for entry in _ENTRY.split(pins.strip())}
    kept = [entry for entry, name in entries.items() if name not in _PYTORCH and not _CUDA.match(name)]
    pytorch = [entry.split()[0] for entry, name in entries.items() if name in _PYTORCH]
    return "\n".join(kept) + "\n", pytorch


def _name(entry: str) -> str:
    found = _NAME.match(entry)
    return found[0] if found else ""
