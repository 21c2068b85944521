"""The way between a hospital and the server, disturbed in every way at the worst moments: the weights stay the same."""

import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.harness import ALL_MUST, SETTINGS, Stage, weights_of
from tests.faults.link import Link

pytestmark = pytest.mark.slow

# By what was done to the link, and for how many seconds; the server takes a hospital for dead after twenty.
FAULTS: dict[str, tuple[Callable[[Link], None], float]] = {
    "cut for a moment": (Link.cut, 5),
    "cut for longer than the server waits": (Link.cut, 40),
    "silent for a moment": (Link.silence, 5),
    "silent for longer than the server waits": (Link.silence, 40),
    "damaged": (Link.damage, 5),
    "slow": (lambda link: link.slow(200_000), 60),
}
PHASES = ("query", "before-training", "uploading", "evaluation")
# For the suite that runs on every change.
SHORT = {
    ("cut for a moment", "uploading"),
    ("silent for longer than the server waits", "evaluation"),
}
CELLS = [
    pytest.param(fault, phase, marks=[] if (fault, phase) in SHORT else pytest.mark.exhaustive)
    for fault in FAULTS
    for phase in PHASES
]


@pytest.fixture(scope="module")
def link(theatre: Stage, undisturbed: str) -> Iterator[Link]:
    """The way of the hospital north to the server."""
    rehearsal = theatre.rehearsal
    with Link(rehearsal.server.port) as link:
        rehearsal.processes.kill("north", signal.SIGTERM)
        rehearsal.hospitals["north"].change({"server": f"localhost:{link.port}"})
        rehearsal.hospitals["north"].start()
        yield link
        rehearsal.processes.kill("north", signal.SIGTERM)


@pytest.mark.parametrize(("fault", "phase"), CELLS)
def test_a_disturbed_link_costs_no_work(theatre: Stage, undisturbed: str, link: Link, fault: str, phase: str) -> None:
    theatre.everything_is_up()
    (supernode,) = theatre.processes("supernode")
    before, trained = theatre.folders(), {name: theatre.trainings(name) for name in ("north", "south")}
    disturb, seconds = FAULTS[fault]
    damaged = link.damaged
    theatre.launch_to(phase, ALL_MUST, hospital="north", round_number=2 if phase == "before-training" else None)
    disturb(link)
    theatre.release(phase)
    time.sleep(seconds)
    link.mend()
    assert link.damaged == damaged + (fault == "damaged")
    folder, resumed = theatre.finish(before)
    assert resumed == 0
    assert weights_of(folder) == undisturbed
    # A moment is borne where one stands: who starts anew is let in again only when the server took it for dead.
    assert supernode.is_running() or seconds > 2 * SETTINGS["heartbeat_seconds"]
    # Nobody trains a round again whose reply was lost on the way: it is kept, and sent again.
    assert {name: theatre.trainings(name) - trained[name] for name in trained} == dict.fromkeys(
        trained, ALL_MUST["federation.rounds"]
    )
