"""What a resumed run adds to its folder: each round once, in whole lines."""

import json
from pathlib import Path

from common.plan.training_plan import TrainingPlan
from server.runs.reading import view_run
from server.runs.recorder import RunRecorder
from server.runs.run_display import describe_round
from server.runs.run_folder import RunFolder
from server.runs.run_naming import reserve_run, unfinished
from tests.server.rounds.hospitals_in_process import FaultyHospital, Hospital, RecordingObserver, federate


def test_a_resumed_run_tells_each_round_once(tmp_path: Path) -> None:
    final = reserve_run(tmp_path, "x")
    federation = TrainingPlan().federation
    states = RecordingObserver()
    hospitals = (Hospital(1, "north"), FaultyHospital(3, "south", bad={1}))
    federate(*hospitals, observer=states)
    for state in (None, states.states[0]):  # from the beginning, and after its first round
        run = RunFolder(final)
        recorder = RunRecorder(run, run.checkpoints("federation", "one", federation), 2)
        federate(*hospitals, observer=recorder, state=state, changes=None if state else {"federation.rounds": 1})
        recorder.close()
        run.__exit__(RuntimeError, RuntimeError(), None)
    rounds = [json.loads(line)["round"] for line in (unfinished(final) / "rounds.jsonl").read_text().splitlines()]
    assert rounds == [1, 2]
    log = (unfinished(final) / "run.log").read_text()
    assert [log.count(f"round {number}/2: ") for number in (1, 2)] == [1, 1]
    assert log.count("south left out of round 1") == 1


def test_a_round_tells_how_often_it_was_tried_and_why(tmp_path: Path) -> None:
    final = reserve_run(tmp_path, "x")
    run = RunFolder(final)
    recorder = RunRecorder(run, run.checkpoints("federation", "one", TrainingPlan().federation), 2)
    shaky = FaultyHospital(3, "south", bad_attempts=2)
    federate(Hospital(1, "north"), shaky, observer=recorder, min_sites=2, changes={"federation.quarantine_after": 9})
    recorder.close()
    run.__exit__(RuntimeError, RuntimeError(), None)
    view = view_run(unfinished(final))
    failed = {"usable": 1, "left_out": {"south": "failed: training"}}
    assert [each["attempts"] for each in view.rounds] == [3, 1]
    assert [each["failed_attempts"] for each in view.rounds] == [[failed, failed], []]
    assert view.rounds[0]["left_out"] == {}
    assert ["3 attempts" in describe_round(each, 2) for each in view.rounds] == [True, False]
    assert "s, attempt 3, loss" in (unfinished(final) / "run.log").read_text()
    checkpoint = RunFolder(final).checkpoints("federation", "one", TrainingPlan().federation)
    state = checkpoint.latest(lambda line: None)
    assert state is not None
    assert [len(report.failed_attempts) for report in state.rounds] == [2, 0], "a resumed run tells it again"


def test_for_whom_a_run_waits_stands_beside_it_until_the_wait_is_over(tmp_path: Path) -> None:
    run = RunFolder(reserve_run(tmp_path, "x"))
    checkpoints = run.checkpoints("federation", "one", TrainingPlan().federation)
    recorder = RunRecorder(run, checkpoints, 1)
    recorder.waiting("waiting for beta")
    assert view_run(run.path).waiting == "waiting for beta"
    recorder.waiting(None)
    assert view_run(run.path).waiting is None
    recorder.waiting("waiting for beta")  # and is killed
    RunRecorder(run, checkpoints, 1)
    assert view_run(run.path).waiting is None
    assert (run.path / "run.log").read_text() == "waiting for beta\n" * 2


def test_a_line_that_was_cut_does_not_begin_the_next(tmp_path: Path) -> None:
    final = reserve_run(tmp_path, "x")
    log = unfinished(final) / "run.log"
    for before, after in (
        ("whole\nhalf a li", "whole\nnext\n"),
        ("half a li" * 1000, "next\n"),
        ("whole\n", "whole\nnext\n"),
    ):
        log.write_text(before)
        run = RunFolder(final)
        run.log("next")
        run.__exit__(RuntimeError, RuntimeError(), None)
        assert log.read_text() == after


def test_a_resume_that_ends_before_its_first_round_loses_nothing(tmp_path: Path) -> None:
    final = reserve_run(tmp_path, "x")
    run = RunFolder(final)
    federation = TrainingPlan().federation
    before = RunRecorder(run, run.checkpoints("federation", "one", federation), 1)
    federate(Hospital(1, "north"), Hospital(3, "south"), observer=before, changes={"federation.rounds": 1})
    before.close()
    kept = {path.name: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    # Only one of the hospitals is there now, and the run ends before a round.
    after = RunRecorder(run, run.checkpoints("federation", "one", federation), 1)
    assert sorted(after.hospitals) == ["north", "south"]
    assert after.hospitals == before.hospitals
    after.hospitals_introduced([before.hospitals["north"]], {})
    after.close()
    run.__exit__(RuntimeError, RuntimeError(), None)
    now = {path.name: path.read_bytes() for path in unfinished(final).rglob("*") if path.is_file()}
    assert {name: now[name] for name in kept if name != "run.log"} == {
        name: content for name, content in kept.items() if name != "run.log"
    }
