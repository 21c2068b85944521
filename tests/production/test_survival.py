"""What is killed, and what becomes of the federation: the same weights, bit for bit."""

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from simulations.rehearsal import Rehearsal
from tests.production.small import HOSPITALS, PLAN, online_consortium

pytestmark = pytest.mark.slow

LONG: dict[str, Any] = PLAN | {"federation.rounds": 4, "federation.min_sites": len(HOSPITALS)}


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    with online_consortium(tmp_path_factory.mktemp("survival")) as rehearsal:
        yield rehearsal


@pytest.fixture(scope="module")
def undisturbed(consortium: Rehearsal) -> str:
    assert consortium.run(LONG) == 0
    return digest(consortium)


def digest(consortium: Rehearsal) -> str:
    summary = json.loads((consortium.runs / "latest" / "summary.json").read_bytes())
    return str(summary["arms"]["federated"]["weights_digest"]["global"])


def start_and_wait_for_round(consortium: Rehearsal, number: int) -> Path:
    """Launch a federation in the background and return its folder once a round is over."""
    before = set(consortium.runs.glob("*.unfinished"))
    consortium.run(LONG, "--detach")
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        for folder in set(consortium.runs.glob("*.unfinished")) - before:
            rounds = folder / "rounds.jsonl"
            if rounds.exists() and len(rounds.read_text().splitlines()) >= number:
                return folder
        time.sleep(0.2)
    raise AssertionError("no round was finished")


def test_a_killed_server_goes_on_with_the_next_round(consortium: Rehearsal, undisturbed: str) -> None:
    folder = start_and_wait_for_round(consortium, 2)
    consortium.kill("server")
    assert folder.exists()
    consortium.start_server()
    for hospital in HOSPITALS:
        consortium.wait_online(hospital)
    done = consortium.server("resume", check=False)
    assert done.returncode == 0, done.stdout
    final = folder.with_name(folder.name.removesuffix(".unfinished"))
    assert (consortium.runs / "latest").resolve() == final
    assert "going on after round 2/4" in (final / "run.log").read_text()
    assert [json.loads(line)["round"] for line in (final / "rounds.jsonl").read_text().splitlines()] == [1, 2, 3, 4]
    assert digest(consortium) == undisturbed


def test_a_killed_serverapp_is_resumed(consortium: Rehearsal, undisturbed: str) -> None:
    start_and_wait_for_round(consortium, 1)
    for process in psutil.process_iter():
        if "flwr-serverapp" in " ".join(process.cmdline() if process.is_running() else []):
            process.send_signal(signal.SIGKILL)
    consortium.wait_for("Flower to notice", lambda: last_status(consortium) == "failed")
    assert consortium.server("resume", check=False).returncode == 0
    assert digest(consortium) == undisturbed


def test_a_killed_superlink_does_not_end_the_run(consortium: Rehearsal, undisturbed: str) -> None:
    start_and_wait_for_round(consortium, 1)
    status = json.loads(consortium.server("status", "--json").stdout)
    psutil.Process(status["server"]["programs"]["superlink"]["pid"]).kill()
    deadline = time.monotonic() + 240
    while last_status(consortium) not in ("completed", "failed") and time.monotonic() < deadline:
        time.sleep(2)
    if last_status(consortium) == "failed":
        assert consortium.server("resume", check=False).returncode == 0
    assert digest(consortium) == undisturbed


def last_status(consortium: Rehearsal) -> str:
    done = consortium.server("runs", "--json", check=False)
    return str(json.loads(done.stdout)[0]["status"]) if done.returncode == 0 else ""


def test_there_is_nothing_to_resume_when_all_runs_are_finished(consortium: Rehearsal, undisturbed: str) -> None:
    done = consortium.server("resume", check=False)
    assert done.returncode == 2
    assert "no interrupted run" in done.stdout
