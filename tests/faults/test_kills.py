"""Every process of a federation, killed in every phase of a round: the weights are those of an undisturbed run."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.faults.harness import ALL_MUST, HOSPITALS, Stage, weights_of
from tests.faults.table import PROPERTY

pytestmark = pytest.mark.slow

# Each hospital keeps layers of its own, which must outlive its processes too.
PLAN = ALL_MUST | {"federation.strategy": "fedbn", "model.batch_norm": "train"}
PROCESSES = ("server", "superlink", "serverapp", "daemon", "supernode", "clientapp")
PHASES = ("query", "before-training", "training", "uploading", "aggregation", "checkpoint", "evaluation")
# In these no hospital answers a message: the process that would answer the next one is killed.
ON_THE_SERVER = ("aggregation", "checkpoint")
# Reached once a round, and where that is known, in the second: so there is a checkpoint.
IN_ROUND_TWO = ("before-training", *ON_THE_SERVER)
# For the suite that runs on every change: each process once, one in each phase, in the order in which they come.
IN_ONE_RUN = {
    "query": "clientapp",
    "training": "superlink",
    "uploading": "clientapp",
    "before-training": "daemon",
    "aggregation": "serverapp",
    "checkpoint": "server",
    "evaluation": "supernode",
}


class Ending(NamedTuple):
    """What a finished run leaves."""

    weights: str
    layers: dict[str, dict[str, np.ndarray]]

    def assert_is(self, other: "Ending") -> None:
        assert self.weights == other.weights
        for hospital, layers in other.layers.items():
            found = self.layers[hospital]
            assert found.keys() == layers.keys()
            assert all(np.array_equal(found[name], layers[name]) for name in layers)


def ending_of(theatre: Stage, folder: Path) -> Ending:
    return Ending(weights_of(folder), {hospital: personal_layers(theatre, hospital) for hospital in HOSPITALS})


def personal_layers(theatre: Stage, hospital: str) -> dict[str, np.ndarray]:
    """Return what a hospital holds of its own after the last round of its latest federation; empty but for fedbn."""
    folder = theatre.rehearsal.hospitals[hospital].folder / "state" / "layers"
    latest = max(folder.glob("*/*.safetensors"), key=lambda path: path.stat().st_mtime, default=None)
    return load_file(latest) if latest else {}


@pytest.fixture(scope="module")
def undisturbed(theatre: Stage) -> Ending:
    """The end of a run that nobody disturbs."""
    ending = ending_of(theatre, theatre.finish_undisturbed(PLAN))
    assert all(ending.layers.values())
    return ending


def arm(theatre: Stage, phase: str) -> None:
    hospital = None if phase in ON_THE_SERVER else "north"
    theatre.arm(phase, hospital, round_number=2 if phase in IN_ROUND_TWO else None)


def kill_in(theatre: Stage, phase: str, process: str) -> None:
    """Kill a process once a phase is reached, and start again what nobody else starts."""
    try:
        theatre.wait_reached(phase)
        victim = "runner" if process == "clientapp" and phase in (*ON_THE_SERVER, "uploading") else process
        assert theatre.kill(victim) == 1
    finally:
        theatre.release(phase)
    theatre.mend()


@pytest.mark.timeout(1200)
def test_all_processes_killed_in_one_run_cost_no_work(theatre: Stage, undisturbed: Ending) -> None:
    theatre.everything_is_up()
    before, trained = theatre.folders(), theatre.trainings("south")
    # The server notices before the run, or when no ServerApp comes.
    theatre.kill("superexec")
    for phase in IN_ONE_RUN:
        arm(theatre, phase)
    theatre.launch(PLAN)
    for phase, process in IN_ONE_RUN.items():
        kill_in(theatre, phase, process)
    folder, resumed = theatre.finish(before)
    ending_of(theatre, folder).assert_is(undisturbed)
    assert theatre.trainings("south") == trained + PLAN["federation.rounds"]
    # A ServerApp does not outlive its server either.
    assert resumed == 2


@pytest.mark.exhaustive
@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("process", PROCESSES)
def test_a_killed_process_costs_no_work(
    theatre: Stage,
    undisturbed: Ending,
    process: str,
    phase: str,
    record_property: Callable[[str, object], None],
) -> None:
    theatre.everything_is_up()
    before, trained, started = theatre.folders(), theatre.trainings("south"), time.monotonic()
    arm(theatre, phase)
    theatre.launch(PLAN)
    kill_in(theatre, phase, process)
    folder, resumed = theatre.finish(before)
    ending_of(theatre, folder).assert_is(undisturbed)
    # Whom nobody killed trains each round once, and sends that again if the server asks again.
    assert theatre.trainings("south") == trained + PLAN["federation.rounds"]
    outcome = f"{'resumed' if resumed else 'by itself'}, {time.monotonic() - started:.0f} s"
    record_property(PROPERTY, (process, phase, outcome))


@pytest.mark.exhaustive
@pytest.mark.parametrize("strategy", [{}, {"federation.strategy": "fedadam", "model.batch_norm": "frozen"}])
def test_what_a_strategy_keeps_outlives_all_processes_at_once(theatre: Stage, strategy: dict[str, str]) -> None:
    plan = PLAN | strategy
    theatre.everything_is_up()
    before = theatre.folders()
    theatre.launch(plan)
    folder, _ = theatre.finish(before)
    expected = ending_of(theatre, folder)
    before, trained = theatre.folders(), theatre.trainings("south")
    theatre.launch_to("aggregation", plan, round_number=2)
    theatre.kill("server")
    for hospital in HOSPITALS:
        theatre.kill("daemon", hospital)
    theatre.release("aggregation")
    theatre.mend()
    folder, resumed = theatre.finish(before)
    assert resumed == 1
    ending_of(theatre, folder).assert_is(expected)
    # Round 2 was trained before the kill: its reply was on the hospital's disk and is sent again.
    assert theatre.trainings("south") == trained + plan["federation.rounds"]


def test_there_is_nothing_to_resume_when_all_runs_are_finished(theatre: Stage, undisturbed: Ending) -> None:
    done = theatre.rehearsal.server.command("resume", check=False)
    assert done.returncode == 2
    assert "no interrupted run" in done.stdout
