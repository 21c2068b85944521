"""Each fault of a machine is found before Flower starts, and a sound machine passes."""

import os
import subprocess
import sys
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from client.preflight.findings import Finding, Status
from common.errors import InputError
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from common.system import resources
from common.system.resources import GIGABYTE
from common.training import activations
from simulations.preflight import machine, memory_estimate
from simulations.preflight.findings import require_fit
from simulations.preflight.memory_estimate import estimate_memory

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingPlan:
    """A plan, on a machine of 64 GB, 4 cores and 100 GB of disk."""
    monkeypatch.setattr(machine, "memory_gigabytes", lambda: 64.0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda _: Usage(200e9, 100e9, 100e9))
    monkeypatch.setenv("RAREFED_CACHE", str(tmp_path / "cache"))
    return plan(tmp_path)


def plan(folder: Path, **changes: Scalar) -> TrainingPlan:
    return TrainingPlan.from_flat(
        {"data.path": str(folder / "data"), "study.output": str(folder / "runs")}
        | {key.replace("__", "."): value for key, value in changes.items()}
    )


@pytest.mark.parametrize("check", machine.MACHINE_CHECKS)
def test_a_sound_machine_passes(sound: TrainingPlan, check: Callable[[TrainingPlan], Finding]) -> None:
    assert check(sound).status == Status.PASSED


def test_a_check_leaves_no_trace(sound: TrainingPlan, tmp_path: Path) -> None:
    machine.check_machine(sound)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("free", "status"), [(0.05, Status.FAILED), (0.5, Status.WARN)])
@pytest.mark.parametrize(
    "check", [machine.check_temporary_folder, machine.check_output_folder, machine.check_cache_folder]
)
def test_little_room(
    sound: TrainingPlan,
    monkeypatch: pytest.MonkeyPatch,
    check: Callable[[TrainingPlan], Finding],
    free: float,
    status: Status,
) -> None:
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda _: Usage(200e9, 0, free * 1e9))
    finding = check(sound)
    assert finding.status == status
    assert finding.mend


def test_a_cache_folder_that_cannot_be_made(sound: TrainingPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAREFED_CACHE", "/proc/nowhere/cache")
    finding = machine.check_cache_folder(sound)
    assert finding.status == Status.FAILED
    assert "/proc" in finding.found
    assert "RAREFED_CACHE" in finding.mend
    assert "RAREFED_NO_CACHE=1" in finding.mend
    monkeypatch.setenv("RAREFED_NO_CACHE", "1")
    assert machine.check_cache_folder(sound).status == Status.PASSED
    # The phantom is drawn into the cache folder.
    phantom = sound.changed({"data.path": ""})
    assert machine.check_cache_folder(phantom).status == Status.FAILED


def test_a_limit_of_the_cache_that_is_no_size(sound: TrainingPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAREFED_CACHE_GIB", "4GB")
    finding = machine.check_cache_folder(sound)
    assert finding.status == Status.FAILED
    assert "RAREFED_CACHE_GIB = 4GB: must be a number of GiB" in finding.found


def test_an_output_folder_that_is_a_file(sound: TrainingPlan, tmp_path: Path) -> None:
    (tmp_path / "runs").touch()
    finding = machine.check_output_folder(sound)
    assert finding.status == Status.FAILED
    assert str(tmp_path / "runs") in finding.found
    assert "--output" in finding.mend


@pytest.mark.parametrize(("there", "status"), [(1.0, Status.FAILED), (3.0, Status.WARN)])
def test_little_memory(sound: TrainingPlan, monkeypatch: pytest.MonkeyPatch, there: float, status: Status) -> None:
    monkeypatch.setattr(machine, "memory_gigabytes", lambda: there)
    finding = machine.check_memory(sound)
    assert finding.status == status
    assert "rough estimate" in finding.found


def test_what_to_lower_is_what_has_an_effect(sound: TrainingPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "memory_gigabytes", lambda: 3.0)
    assert "or data.size, or give it fewer cores" in machine.check_memory(sound).mend
    own = machine.check_memory(sound.changed({"study.own_size": True}))
    assert "or data.size (with study.own_size=false), or give it fewer cores" in own.mend


def test_the_estimate_grows_with_what_costs_memory(sound: TrainingPlan) -> None:
    usual = estimate_memory(sound).total
    for change in (
        {"model.family": "vgg16"},
        {"study.models": "efficientnet_lite0,resnet50"},
        {"model.freeze": "none"},
        {"data.size": 512},
        {"augmentation.read_scale": 2.3},
        {"training.batch_size": 64},
    ):
        assert estimate_memory(sound.changed(change)).total > usual


def test_the_estimate_reckons_with_the_side_that_each_family_is_trained_on(sound: TrainingPlan) -> None:
    families = sound.changed({"study.models": "efficientnet_lite0,inception_v3", "augmentation.read_scale": 1.1})
    own = estimate_memory(families.changed({"study.own_size": True, "data.size": 64})).total
    assert own == estimate_memory(families.changed({"data.size": 299})).total
    assert own < estimate_memory(families.changed({"data.size": 512})).total
    assert own == estimate_memory(families.changed({"study.own_size": True, "data.size": 512})).total


def test_the_estimate_counts_no_more_pixels_than_a_training_keeps(sound: TrainingPlan) -> None:
    one, four = (estimate_memory(sound.changed({"augmentation.read_scale": scale})).total for scale in (1, 4.6))
    assert memory_estimate._MOST_PIXELS * GIGABYTE == activations._BYTES_IN_MEMORY
    assert one < four < one + 4 * memory_estimate._MOST_PIXELS


def test_more_threads_than_cores(sound: TrainingPlan) -> None:
    finding = machine.check_cores(sound.changed({"training.threads": 16}))
    assert finding.status == Status.WARN
    assert "training.threads" in finding.mend


@pytest.mark.parametrize("told", ["many", "0", "-1", "2.5", "1001", "²"])
def test_a_number_of_trainings_on_a_gpu_that_is_none(
    sound: TrainingPlan, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv("RAREFED_TRAININGS_PER_GPU", told)
    finding = machine.check_gpu_sharing(sound)
    assert finding.status == Status.FAILED
    assert finding.found == f"RAREFED_TRAININGS_PER_GPU = {told}"
    assert finding.mend == "set it to a whole number from 1 to 1000"


def test_what_failed_is_an_error_and_what_is_warned_of_is_a_line() -> None:
    ok, odd, bad = (Finding(name, status, "found", "mend") for name, status in zip("abc", Status, strict=True))
    assert require_fit([ok, odd]) == ["warning: b: found: mend"]
    with pytest.raises(InputError, match=r"^c: found: mend$"):
        require_fit([ok, odd, bad])


@pytest.mark.parametrize("command", ["run", "study", "robustness", "demo"])
def test_every_command_that_trains_refuses_an_unfit_machine_in_one_line(tmp_path: Path, command: str) -> None:
    started = [str(Path(sys.executable).parent / "rarefed-sim"), command, "--output", str(tmp_path / "runs")]
    environment = {**os.environ, "RAREFED_CACHE": "/proc/nowhere"}
    done = subprocess.run(started, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: cache folder: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []
