"""Disks that are full, read-only or damaged, and a folder that moves: a clear line, and nothing is lost."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.faults.harness import ALL_MUST, Stage, rounds_of, stage, weights_of
from tests.waiting import lives, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")]

# Small messages: what matters here is what is written.
PLAN = ALL_MUST | {
    "federation.rounds": 3,
    "federation.keep_checkpoints": 3,
    "model.freeze": "all",
    "data.size": 32,
}


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Server and hospital north each keep everything on a small disk of their own."""
    base = tmp_path_factory.mktemp("disks")
    server, state = base / "consortium" / "federation", base / "consortium" / "hospitals" / "north" / "state"
    with contextlib.ExitStack() as stack:
        for disk in (server, state):
            disk.mkdir(parents=True)
            try:
                subprocess.run(
                    ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(disk)], check=True, capture_output=True
                )
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no disk can be mounted here: {error.stderr.decode().strip()}")
            stack.callback(subprocess.run, ["umount", "--lazy", str(disk)], check=True)
        yield stack.enter_context(stage(base, runs=None))


@pytest.fixture(scope="module")
def undisturbed(theatre: Stage) -> str:
    before = theatre.folders()
    theatre.launch(PLAN)
    return weights_of(theatre.finish(before)[0])


def server_disk(theatre: Stage) -> Path:
    return theatre.rehearsal.server.folder


def hospital_disk(theatre: Stage) -> Path:
    return theatre.rehearsal.hospitals["north"].folder / "state"


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Take every byte of a disk for a while."""
    ballast = disk / "ballast"
    try:
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(2**16))
        assert shutil.disk_usage(disk).free == 0
        yield
    finally:
        ballast.unlink()


@contextlib.contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Let nobody open a file of a disk for writing for a while, not even root."""
    subprocess.run(["mount", "--bind", str(disk), str(disk)], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(disk)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def says_so(theatre: Stage) -> bool:
    """Return whether a run that goes on has heard that the hospital north cannot write."""
    logs = theatre.rehearsal.server.runs.glob("*.unfinished/run.log")
    return any("north: failed: state" in log.read_text() for log in logs)


def test_a_full_disk_of_the_server_costs_no_round(theatre: Stage, undisturbed: str) -> None:
    theatre.everything_is_up()
    before = theatre.folders()
    serverapp = theatre.launch_to("checkpoint", PLAN, round_number=2)
    with filled(server_disk(theatre)):
        theatre.release("checkpoint")
        wait_for(lambda: not lives(serverapp), "the run to stop", 120)
    folder, _ = theatre.finish(before)
    assert weights_of(folder) == undisturbed
    log = (folder / "run.log").read_text()
    assert "going on after round 1/3" in log
    assert [entry["round"] for entry in rounds_of(folder)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (filled, "No space left on device"),
        pytest.param(read_only, "Read-only file system", marks=pytest.mark.exhaustive),
    ],
)
def test_a_hospital_that_cannot_write_says_so_and_is_waited_for(
    theatre: Stage, undisturbed: str, fault: Callable[[Path], AbstractContextManager[None]], words: str
) -> None:
    theatre.everything_is_up()
    before = theatre.folders()
    theatre.launch_to("before-training", PLAN, hospital="north", round_number=2)
    with fault(hospital_disk(theatre)):
        theatre.release("before-training")
        wait_for(lambda: says_so(theatre) or theatre.folders() - before, "the hospital to say so", 120)
        if not says_so(theatre):
            # A full disk still had room for a few lines in the last page of the audit log.
            before = theatre.folders()
            theatre.launch(PLAN)
            wait_for(lambda: says_so(theatre), "the hospital to say so", 120)
    folder, resumed = theatre.finish(before)
    assert resumed == 0
    assert weights_of(folder) == undisturbed
    log = (theatre.rehearsal.hospitals["north"].folder / "state" / "logs" / "runner.log").read_text()
    assert f"audit.jsonl cannot be written ({words}), and nothing runs without" in log


def test_a_daemon_does_not_start_on_a_state_folder_that_it_cannot_write(theatre: Stage) -> None:
    rehearsal = theatre.rehearsal
    rehearsal.processes.kill("north", signal.SIGTERM)
    with read_only(hospital_disk(theatre)):
        done = rehearsal.hospitals["north"].command("start", check=False)
    assert done.returncode == 1
    (line,) = done.stdout.strip().splitlines()
    assert "cannot be used (Read-only file system)" in line
    theatre.mend()
    theatre.everything_is_up()


@pytest.mark.parametrize("suffix", ["json", pytest.param("safetensors", marks=pytest.mark.exhaustive)])
def test_a_damaged_checkpoint_is_said_and_the_one_before_is_used(theatre: Stage, undisturbed: str, suffix: str) -> None:
    theatre.everything_is_up()
    before = theatre.folders()
    theatre.launch_to("aggregation", PLAN, round_number=3)
    theatre.kill("serverapp")
    theatre.release("aggregation")
    (checkpoint,) = theatre.rehearsal.server.runs.glob(f"*.unfinished/checkpoints/rounds/*/round-0002.{suffix}")
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    folder, resumed = theatre.finish(before)
    assert resumed == 1
    assert weights_of(folder) == undisturbed
    log = (folder / "run.log").read_text()
    assert re.search(r"round-0002: (was damaged since it was written|cannot be read); the one before is used", log)
    assert "going on after round 1/3" in log


def test_a_run_goes_on_from_a_copy_of_the_servers_folder(theatre: Stage, undisturbed: str) -> None:
    """As on another machine that takes the server's name: the hospitals find it and know no difference."""
    theatre.everything_is_up()
    theatre.launch_to("aggregation", PLAN, round_number=3)
    theatre.kill("server")
    theatre.release("aggregation")
    rehearsal = theatre.rehearsal
    copy = rehearsal.folder / "another machine"
    shutil.copytree(rehearsal.server.folder, copy, symlinks=True)
    original, rehearsal.server.folder, rehearsal.server.runs = rehearsal.server.folder, copy, copy / "runs"
    try:
        consortium = copy / "consortium.yaml"
        consortium.write_text(consortium.read_text().replace(str(original), str(copy)))
        rehearsal.server.start()
        theatre.everything_is_up()
        before = theatre.folders()
        folder, resumed = theatre.finish(before)
        assert resumed == 1
        assert weights_of(folder) == undisturbed
        assert "going on after round 2/3" in (folder / "run.log").read_text()
    finally:
        rehearsal.processes.kill("server", signal.SIGTERM)
        rehearsal.server.folder, rehearsal.server.runs = original, original / "runs"


@pytest.mark.exhaustive
def test_clocks_that_jump_stop_nobody_for_good(theatre: Stage, undisturbed: str) -> None:
    theatre.mend()
    theatre.everything_is_up()
    before = theatre.folders()
    theatre.launch_to("before-training", PLAN, hospital="north", round_number=2)
    theatre.shift_clock("north", 3600)
    theatre.release("before-training")
    wait_for(lambda: "clock is 3" in theatre.rehearsal.processes.log("north"), "the daemon to say so", 200)
    theatre.shift_clock("north", 0)
    folder, _ = theatre.finish(before)
    assert weights_of(folder) == undisturbed
