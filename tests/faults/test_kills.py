"""Every process of a federation, killed in every phase of a round: the weights are those of an undisturbed run."""

import time

import pytest

from tests.faults.harness import ALL_MUST, Stage, weights_of
from tests.faults.table import record

pytestmark = pytest.mark.slow

PROCESSES = ("server", "superlink", "serverapp", "daemon", "supernode", "clientapp")
PHASES = ("query", "before-training", "training", "uploading", "aggregation", "checkpoint", "evaluation")
# In these no hospital answers a message: the process that would answer the next one is killed.
ON_THE_SERVER = ("aggregation", "checkpoint")
# Reached once a round, and where that is known, in the second: so there is a checkpoint.
IN_ROUND_TWO = ("before-training", *ON_THE_SERVER)
# One cell of each row and column, for the suite that runs on every change.
DIAGONAL = {
    ("server", "checkpoint"),
    ("superlink", "training"),
    ("serverapp", "aggregation"),
    ("daemon", "before-training"),
    ("supernode", "evaluation"),
    ("clientapp", "uploading"),
    ("server", "query"),
}


@pytest.fixture(scope="module")
def undisturbed(theatre: Stage) -> str:
    before = theatre.folders()
    theatre.launch(ALL_MUST)
    folder, resumed = theatre.finish(before)
    assert resumed == 0
    return weights_of(folder)


CELLS = [
    pytest.param(process, phase, marks=[] if (process, phase) in DIAGONAL else pytest.mark.exhaustive)
    for process in PROCESSES
    for phase in PHASES
]


@pytest.mark.parametrize(("process", "phase"), CELLS)
def test_a_killed_process_costs_no_work(theatre: Stage, undisturbed: str, process: str, phase: str) -> None:
    theatre.everything_is_up()
    before, started = theatre.folders(), time.monotonic()
    trained = theatre.trainings("south")
    theatre.arm(
        phase,
        hospital=None if phase in ON_THE_SERVER else "north",
        round_number=2 if phase in IN_ROUND_TWO else None,
    )
    try:
        theatre.launch(ALL_MUST)
        theatre.wait_reached(phase)
        victim = "runner" if process == "clientapp" and phase in (*ON_THE_SERVER, "uploading") else process
        assert theatre.kill(victim) == 1
    finally:
        theatre.release(phase)
    theatre.mend()
    folder, resumed = theatre.finish(before)
    assert weights_of(folder) == undisturbed
    # Whom nobody killed trains each round once, and sends that again if the server asks again.
    assert theatre.trainings("south") == trained + ALL_MUST["federation.rounds"]
    record(process, phase, "resumed" if resumed else "by itself", time.monotonic() - started)


def test_a_superexec_that_died_before_a_run_is_started_again(theatre: Stage, undisturbed: str) -> None:
    theatre.everything_is_up()
    before = theatre.folders()
    theatre.kill("superexec")
    theatre.launch(ALL_MUST)
    folder, _ = theatre.finish(before)
    assert weights_of(folder) == undisturbed


def test_there_is_nothing_to_resume_when_all_runs_are_finished(theatre: Stage, undisturbed: str) -> None:
    done = theatre.rehearsal.server("resume", check=False)
    assert done.returncode == 2
    assert "no interrupted run" in done.stdout
