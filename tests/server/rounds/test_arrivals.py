"""A federation that begins waits for hospitals that are offline, and says for whom, how long and until when."""

from pathlib import Path
from typing import Any, cast

import pytest

from common.errors import RunError
from common.plan.training_plan import TrainingPlan
from server.members.hospital import Hospital
from server.members.server_folder import ServerFolder
from server.rounds.arrivals import wait_for_hospitals
from server.rounds.roster import Roster
from tests.server.rounds.hospitals_in_process import RecordingObserver


class ArrivingGrid:
    """Flower's list of who is online; with every question one more of `nodes` is."""

    def __init__(self, *nodes: int) -> None:
        self._nodes, self._asked = nodes, 0

    def get_node_ids(self) -> list[int]:
        self._asked += 1
        return list(self._nodes[: (self._asked - 1) // 2])  # who is there and who is not are asked together


def wait(folder: Path, *arriving: int, approved: tuple[str, ...], seconds: float) -> RecordingObserver:
    server = ServerFolder(folder)
    server.hospitals.mkdir()
    for number, name in enumerate(approved, start=1):
        member = Hospital(name=name, state="approved", node_id=number)
        (server.hospitals / f"{name}.json").write_text(member.model_dump_json())
    plan = TrainingPlan().changed({"federation.wait_seconds": seconds, "federation.min_sites": 1})
    observer = RecordingObserver()
    wait_for_hospitals(Roster(server, cast(Any, ArrivingGrid(*arriving))), plan.federation, observer, 0.001)
    return observer


def test_it_begins_as_soon_as_all_are_there_and_says_who_is_missing_till_then(tmp_path: Path) -> None:
    observer = wait(tmp_path, 1, 2, approved=("alpha", "beta"), seconds=60)
    both, one, over = observer.waits
    assert both == (
        "waiting for alpha, beta to come online, 60 s at most (federation.wait_seconds): the run begins as soon as all "
        "approved hospitals are online, and after that time with 1 or more (federation.min_sites)"
    )
    assert (one or "").startswith("waiting for beta to come online, 60 s at most")
    assert over is None
    assert observer.troubles == []


def test_after_that_time_it_begins_with_enough_of_them_and_says_without_whom(tmp_path: Path) -> None:
    observer = wait(tmp_path, 1, approved=("alpha", "beta"), seconds=0.05)
    assert observer.waits[-1] is None
    (line,) = observer.troubles
    assert line.startswith("beginning without beta: offline")


def test_without_an_approved_hospital_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"0 of 0 admitted .* nobody was approved yet"):
        wait(tmp_path, approved=(), seconds=0.01)
