"""How many trainings go on at the same time, and what share of a GPU each of them takes."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from common.system.resources import GIGABYTE, usable_cores
from simulations.preflight.memory_estimate import training_gigabytes

TRAININGS_VARIABLE = "RAREFED_TRAININGS_PER_GPU"
"""Environment variable: how many trainings share each GPU, instead of as many as its memory holds."""

_LEAST_GIGABYTES = 4 * 1024**3 / GIGABYTE
_LEAST_TRAININGS = 2
# Ray counts GPUs in units of a ten-thousandth; rounded up, the last share would not fit on the GPU.
_UNITS = 10_000
_MOST_TRAININGS = 1000


class Pool(NamedTuple):
    """Flower's workers.

    Attributes
    ----------
    workers : int
        How many trainings go on at the same time, at least 1.
    gpu_share : float
        Of one GPU, for each of them, in [0, 1]; 0 where none is used.
    """

    workers: int
    gpu_share: float


def choose_pool(plan: TrainingPlan, trainings: int) -> Pool:
    """Return the pool for a plan on this machine.

    Parameters
    ----------
    plan : TrainingPlan
        Its device, networks, images and batches are looked at.
    trainings : int
        How many could go on at the same time, at least 1.

    Raises
    ------
    InputError
        If `$RAREFED_TRAININGS_PER_GPU` is no number of trainings.
    """
    memories = [] if plan.training.device == "cpu" else gpu_memories()
    return share_out(min(usable_cores(), trainings), memories, training_gigabytes(plan))


def share_out(most: int, memories: Sequence[int], gigabytes: float) -> Pool:
    """Share some GPUs out to trainings.

    Parameters
    ----------
    most : int
        How many trainings may go on at the same time: one for each core, and no more than there are.
    memories : sequence of int
        Bytes of each GPU.
    gigabytes : float
        A rough estimate of what a training takes.
    """
    if not memories:
        return Pool(most, 0.0)
    fitting = int(min(memories) / GIGABYTE / max(gigabytes, _LEAST_GIGABYTES))
    per_gpu = told_trainings() or max(fitting, _LEAST_TRAININGS)
    workers = min(most, per_gpu * len(memories))
    # Ray fills a GPU before it takes the next one: with the smallest share that is needed all of them are used.
    return Pool(workers, _UNITS // math.ceil(workers / len(memories)) / _UNITS)


def told_trainings() -> int | None:
    """Return how many trainings shall share each GPU, by `$RAREFED_TRAININGS_PER_GPU`; None where it says nothing.

    Raises
    ------
    InputError
        If it is no whole number from 1 to 1000.
    """
    told = os.environ.get(TRAININGS_VARIABLE)
    if not told:
        return None
    if not (told.isascii() and told.isdecimal() and 1 <= int(told) <= _MOST_TRAININGS):
        raise InputError(f"{TRAININGS_VARIABLE} = {told}: set it to a whole number from 1 to {_MOST_TRAININGS}")
    return int(told)


def gpu_memories() -> list[int]:
    """Return the bytes of each GPU that torch can use; imports torch only where a GPU's device file exists."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not any(Path("/dev", name).exists() for name in ("dxg", "kfd")):
        return []
    import torch

    # A GPU whose driver is too old for torch is counted, and cannot be asked for its memory.
    if not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_properties(index).total_memory for index in range(torch.cuda.device_count())]
