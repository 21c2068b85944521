"""Lines of progress."""

import re
import time
from pathlib import Path
from unittest.mock import create_autospec

import pytest

from common.plan.training_plan import TrainingPlan
from server.rounds.checkpoints import Checkpoints
from server.rounds.reply_checks import SiteReport
from server.rounds.state import RoundReport
from server.runs.run_folder import RunFolder
from server.runs.run_naming import reserve_run
from simulations.study.arms import FEDERATED
from simulations.study.federated import _UnitObserver
from simulations.study.progress import StudyProgress
from simulations.study.runner import Study
from tests.federation.data import manifest
from tests.federation.test_strategies import SMALL


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_progress_tells_the_share_and_the_time_left() -> None:
    lines: list[str] = []
    progress = StudyProgress(200, lines.append)
    progress.step(50, "one")
    progress.step(50, None)
    progress.step(60, "two")
    progress.step(100, "more than planned")
    progress.say("done")
    assert lines[0] == "[ 25%          ] one"
    assert lines[1].startswith("[ 80%  0:00 left] two")
    assert lines[2].startswith("[100%  0:00 left] more")
    assert lines[3] == "done"


def test_work_that_is_done_already_does_not_count() -> None:
    lines: list[str] = []
    progress = StudyProgress(200, lines.append)
    progress.skip(100)
    progress.step(50, "half of the rest")
    assert lines == ["[ 50%          ] half of the rest"]


def test_what_was_restored_is_done_but_no_speed(clock: Clock) -> None:
    lines: list[str] = []
    progress = StudyProgress(1000, lines.append)
    progress.restore(300, "before")
    progress.step(100, "the first, which starts processes")
    clock.now += 60
    progress.step(100, "one a minute")
    progress.restore(300, "of another federation")
    clock.now += 60
    progress.step(100, "two in two minutes")
    assert [line.partition("]")[0] for line in lines] == [
        *("[ 30%          ", "[ 40%          ", "[ 50%  5:00 left", "[ 80%  2:00 left", "[ 90%  1:00 left")
    ]


def test_a_resumed_federation_takes_no_time_from_its_restored_rounds(tmp_path: Path, clock: Clock) -> None:
    data = {"data.path": str(manifest(tmp_path / "data")), "study.arms": "federated", "federation.rounds": 4}
    plan = TrainingPlan.from_flat(SMALL | data | {"study.sites": 2})
    lines: list[str] = []
    with RunFolder(reserve_run(tmp_path / "runs", "run")) as folder:
        study = Study(plan, folder, lines.append, workers=1)
        (unit,) = study._units
        assert unit.arm == FEDERATED
        sites = {
            site.name: SiteReport(len(site.split.train), 0.5, 1.0, None, weight=1) for site in unit.consortium.sites
        }
        observer = _UnitObserver(
            create_autospec(Checkpoints), lambda *report: study._note_round(unit, *report), lines.append
        )
        observer.round_restored(RoundReport(1, 60.0, sites, {}, None))
        clock.now += 0.1
        observer.round_restored(RoundReport(2, 60.0, sites, {}, None))
        for number in (3, 4):
            clock.now += 60
            observer.round_finished(RoundReport(number, 60.0, sites, {}, None))
    assert [re.findall("[^][]+", line)[0].strip() for line in lines] == ["25%", "50%", "75%", "100%  0:00 left"]
