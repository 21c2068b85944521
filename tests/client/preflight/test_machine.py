"""Each fault of a machine is found, and a sound machine passes."""

import os
import socket
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from client.daemon.status import only_daemon
from client.preflight import machine
from client.preflight.findings import Finding, Status
from client.rules.hospital_file import HospitalFile
from common.system import resources
from common.system.ports import free_ports
from tests.client.hospital import write_hospital, write_node_key

Usage = namedtuple("Usage", "total used free")
Check = Callable[[HospitalFile], Finding]


@pytest.fixture
def sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HospitalFile:
    """A hospital of 16 GB, 4 cores and 100 GB of disk, with its key, that cannot write to its data."""
    data = tmp_path / "data"
    data.mkdir()
    hospital = write_hospital(tmp_path / "hospital", data)
    write_node_key(hospital.node_key)
    monkeypatch.setattr(machine, "memory_gigabytes", lambda: 16.0)
    monkeypatch.setattr(machine, "landlock_version", lambda: 7)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda _: Usage(200e9, 100e9, 100e9))
    monkeypatch.setattr(os, "access", lambda _, wanted: not wanted & os.W_OK)  # root may always write
    return hospital


def limited(hospital: HospitalFile, **limits: Any) -> HospitalFile:
    """Return the hospital with some of its limits changed."""
    return hospital.model_copy(update={"limits": hospital.limits.model_copy(update=limits)})


@pytest.mark.parametrize("check", machine.MACHINE_CHECKS)
def test_a_sound_machine_passes(sound: HospitalFile, check: Check) -> None:
    assert check(sound).status == Status.PASSED


@pytest.mark.parametrize(("free", "status"), [(1.0, Status.FAILED), (3.0, Status.WARN)])
def test_little_disk(sound: HospitalFile, monkeypatch: pytest.MonkeyPatch, free: float, status: Status) -> None:
    monkeypatch.setattr(resources.shutil, "disk_usage", lambda _: Usage(200e9, 0, free * 1e9))
    assert machine.check_disk(sound).status == status


@pytest.mark.parametrize(
    ("there", "allowed", "status"),
    [(1.0, 0, Status.FAILED), (3.0, 0, Status.WARN), (16.0, 1.5, Status.FAILED), (16.0, 32, Status.WARN)],
)
def test_little_memory(
    sound: HospitalFile, monkeypatch: pytest.MonkeyPatch, there: float, allowed: float, status: Status
) -> None:
    monkeypatch.setattr(machine, "memory_gigabytes", lambda: there)
    assert machine.check_memory(limited(sound, memory_gigabytes=allowed)).status == status


def test_the_limit_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(resources, "_CGROUP_MEMORY", limit)
    limit.write_text("1500000\n")
    assert resources.memory_gigabytes() == 0.0015
    limit.write_text("max\n")
    assert resources.memory_gigabytes() > 0.0015


def test_more_processors_allowed_than_there(sound: HospitalFile) -> None:
    assert machine.check_processors(limited(sound, cpus=8)).status == Status.WARN


@pytest.mark.parametrize("wrong", ["missing", "1.43.0"])
def test_another_flower(sound: HospitalFile, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setattr(machine, "_version", lambda name: wrong if name == "flwr" else "1.0")
    assert machine.check_versions(sound).status == Status.FAILED


def test_a_state_folder_that_others_read(sound: HospitalFile) -> None:
    sound.state.chmod(0o755)
    finding = machine.check_state_folder(sound)
    assert (finding.status, finding.mend) == (Status.FAILED, f"chmod 700 {sound.state}")


def test_no_state_folder(sound: HospitalFile) -> None:
    gone = sound.model_copy(update={"state": sound.state / "gone"})
    assert machine.check_state_folder(gone).status == Status.FAILED
    assert machine.check_disk(gone).status == Status.PASSED


def test_a_state_folder_that_cannot_be_written_to(sound: HospitalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dir: Path) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(resources, "tempfile", SimpleNamespace(TemporaryFile=refuse))
    assert "Read-only file system" in machine.check_state_folder(sound).found


@pytest.mark.parametrize(("rights", "status"), [(os.R_OK | os.W_OK | os.X_OK, Status.WARN), (0, Status.FAILED)])
def test_rights_to_the_data(sound: HospitalFile, monkeypatch: pytest.MonkeyPatch, rights: int, status: Status) -> None:
    monkeypatch.setattr(os, "access", lambda _, wanted: wanted & rights == wanted)
    assert machine.check_data_folder(sound).status == status


def test_data_around_the_state_folder(sound: HospitalFile) -> None:
    around = sound.data.model_copy(update={"path": sound.state.parent})
    finding = machine.check_data_folder(sound.model_copy(update={"data": around}))
    assert finding.status == Status.FAILED
    assert "holds the state folder" in finding.found


def test_no_data(sound: HospitalFile) -> None:
    sound.data.path.rmdir()
    assert machine.check_data_folder(sound).status == Status.FAILED


def test_the_node_key(sound: HospitalFile) -> None:
    sound.node_key.chmod(0o640)
    assert "mode 640" in machine.check_node_key(sound).found
    sound.node_key.write_text("junk")
    sound.node_key.chmod(0o600)
    finding = machine.check_node_key(sound)
    assert (finding.status, "no OpenSSH key" in finding.found) == (Status.FAILED, True)
    sound.node_key.unlink()
    assert "enroll" in machine.check_node_key(sound).mend


def test_the_secret_of_the_split(sound: HospitalFile) -> None:
    assert machine.check_split_salt(sound).status == Status.PASSED
    (sound.federations / "1").mkdir(parents=True)
    lost = machine.check_split_salt(sound)
    assert (lost.status, "restore" in (lost.mend or "")) == (Status.WARN, True)
    assert not sound.split_salt.exists()
    sound.split_salt.write_text("äöü junk")
    assert machine.check_split_salt(sound).status == Status.FAILED
    sound.split_salt.write_text("12ab")
    assert machine.check_split_salt(sound).status == Status.PASSED


def test_ports_that_somebody_else_has(sound: HospitalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = sound.ports.model_copy(update=dict(zip(("runtime", "health"), free_ports(2), strict=True)))
    hospital = sound.model_copy(update={"ports": ports})
    assert machine.check_ports(hospital).status == Status.PASSED
    with socket.create_server(("127.0.0.1", ports.health)):
        taken = machine.check_ports(hospital)
        assert (taken.status, str(ports.health) in taken.found) == (Status.FAILED, True)
        with only_daemon(sound.state):
            assert machine.check_ports(hospital).status == Status.PASSED
    monkeypatch.setattr(machine, "unknown_words", lambda: "/proc/self/net/tcp cannot be read")
    assert machine.check_ports(hospital).status == Status.FAILED


@pytest.mark.parametrize(
    ("wanted", "version", "status"),
    [
        ("auto", 0, Status.WARN),
        ("require", 0, Status.FAILED),
        ("require", 1, Status.PASSED),
        ("off", 7, Status.WARN),
    ],
)
def test_a_kernel_without_a_sandbox(
    sound: HospitalFile, monkeypatch: pytest.MonkeyPatch, wanted: str, version: int, status: Status
) -> None:
    monkeypatch.setattr(machine, "landlock_version", lambda: version)
    assert machine.check_sandbox(limited(sound, sandbox=wanted)).status == status
