"""As many trainings share a GPU as its memory holds, and cores are there for."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from simulations.preflight import gpu_sharing
from simulations.preflight.gpu_sharing import Pool, choose_pool, gpu_memories, share_out

GIB = 1024**3


@pytest.mark.parametrize(
    ("cores", "gibibytes", "each", "expected"),
    [
        (16, (), 1.0, Pool(16, 0.0)),
        (16, (80,), 1.0, Pool(16, 0.0625)),
        (64, (80,), 1.0, Pool(20, 0.05)),
        (64, (24,), 1.0, Pool(6, 0.1666)),
        (64, (80,), 20.0, Pool(4, 0.25)),
        (64, (4,), 1.0, Pool(2, 0.5)),
        (1, (80,), 1.0, Pool(1, 1.0)),
        (3, (80,), 1.0, Pool(3, 0.3333)),
        (16, (80, 80), 1.0, Pool(16, 0.125)),
        (16, (80, 8), 1.0, Pool(4, 0.5)),
    ],
)
def test_trainings_at_the_same_time(cores: int, gibibytes: tuple[int, ...], each: float, expected: Pool) -> None:
    pool = share_out(cores, [GIB * memory for memory in gibibytes], each)
    assert pool == expected
    # What Ray finds room for.
    if gibibytes:
        assert len(gibibytes) * int(1 / pool.gpu_share) >= pool.workers


def test_the_environment_says_another_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAREFED_TRAININGS_PER_GPU", "1")
    assert share_out(16, [80 * GIB], 1.0) == Pool(1, 1.0)
    monkeypatch.setenv("RAREFED_TRAININGS_PER_GPU", "8")
    assert share_out(64, [4 * GIB] * 2, 1.0) == Pool(16, 0.125)
    assert share_out(3, [80 * GIB], 1.0) == Pool(3, 0.3333), "never more than cores"
    monkeypatch.setenv("RAREFED_TRAININGS_PER_GPU", "")
    assert share_out(64, [80 * GIB], 1.0) == Pool(20, 0.05)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Pool(16, 0.0625)),
        ({"training.device": "cpu"}, Pool(16, 0.0)),
        # Some 20 GB each.
        ({"model.family": "vgg16", "model.freeze": "none", "data.size": 640}, Pool(4, 0.25)),
    ],
)
def test_a_plan_decides_how_large_a_training_is_and_where_it_runs(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Scalar], expected: Pool
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    monkeypatch.setattr(gpu_sharing, "gpu_memories", lambda: [80 * GIB])
    assert choose_pool(TrainingPlan.from_flat(changes), 40) == expected
    assert choose_pool(TrainingPlan.from_flat(changes), 2).workers == 2


@pytest.mark.parametrize("usable", [True, False])
def test_memories_are_those_of_the_gpus_that_torch_can_use(monkeypatch: pytest.MonkeyPatch, usable: bool) -> None:
    monkeypatch.setattr(Path, "glob", lambda *_: [Path("/dev/nvidia0"), Path("/dev/nvidia1")])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: usable)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)

    def properties(index: int) -> SimpleNamespace:
        assert usable, "this fails where the driver is too old"
        return SimpleNamespace(total_memory=(index + 1) * GIB)

    monkeypatch.setattr(torch.cuda, "get_device_properties", properties)
    assert gpu_memories() == ([GIB, 2 * GIB] if usable else [])
