"""Which earlier runs of a plan are found."""

import json
from pathlib import Path

from server.runs.run_naming import reserve_run, unfinished
from simulations.study.earlier_runs import (
    finished_run,
    keep_rounds,
    resume_or_reserve,
    runs_without_plan,
    worth_resuming,
)


def interrupted(output: Path, name: str, digest: str, worth: bool = True) -> Path:
    final = reserve_run(output, name)
    (unfinished(final) / "plan.json").write_text(json.dumps({"digest": digest}))
    if worth:
        rounds = unfinished(final) / "checkpoints" / "rounds" / "federated"
        rounds.mkdir(parents=True)
        (rounds / "round-0001.json").write_text("{}")
    return final


def test_a_finished_run_is_found_by_its_plan(tmp_path: Path) -> None:
    assert finished_run(tmp_path, "a") is None
    final = interrupted(tmp_path, "robustness", "a")
    (unfinished(final) / "summary.json").write_text("{}")
    assert finished_run(tmp_path, "a") is None
    unfinished(final).rename(final)
    (tmp_path / "latest").symlink_to(final.name, target_is_directory=True)
    assert finished_run(tmp_path, "a") == final
    assert finished_run(tmp_path, "b") is None


def test_the_latest_interrupted_run_of_the_plan_is_resumed(tmp_path: Path) -> None:
    interrupted(tmp_path, "older", "a")
    wanted = interrupted(tmp_path, "wanted", "a")
    interrupted(tmp_path, "without-a-round", "a", worth=False)
    interrupted(tmp_path, "of-another-plan", "b")
    assert resume_or_reserve(tmp_path, "new", "a") == wanted
    new = resume_or_reserve(tmp_path, "new", "c")
    assert new.name.endswith("-new")
    assert unfinished(new).is_dir()


def test_interrupted_runs_without_a_plan_are_known(tmp_path: Path) -> None:
    interrupted(tmp_path, "fine", "a")
    damaged = unfinished(interrupted(tmp_path, "damaged", "a"))
    (damaged / "plan.json").write_text("{")
    (unfinished(interrupted(tmp_path, "empty", "a", worth=False)) / "plan.json").unlink()
    assert runs_without_plan(tmp_path) == [damaged]


def test_a_run_is_worth_resuming_with_a_finished_training_or_round(tmp_path: Path) -> None:
    assert not worth_resuming(tmp_path)
    assert not worth_resuming(unfinished(interrupted(tmp_path, "x", "a", worth=False)))
    assert worth_resuming(unfinished(interrupted(tmp_path, "y", "a")))
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / "one.json").write_text("{}")
    assert worth_resuming(tmp_path)


def test_rounds_of_unfinished_trainings_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "rounds.jsonl").write_text('{"unit": "a", "round": 1}\n{"unit": "b", "round": 1}\n{"unit": "a", "ro')
    keep_rounds(tmp_path, {"a"})
    assert (tmp_path / "rounds.jsonl").read_text() == '{"unit": "a", "round": 1}\n'
