from pathlib import Path

import pytest

from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from server.runs.resume import interrupted_run, read_plan
from server.runs.run_folder import RunFolder
from server.runs.run_naming import reserve_run, unfinished


def interrupted(output: Path, name: str, plan: TrainingPlan) -> Path:
    final = reserve_run(output, name)
    folder = RunFolder(final)
    folder.write_plan(plan)
    folder.__exit__(RuntimeError, RuntimeError(), None)
    return final


def test_the_latest_interrupted_run_is_found_with_its_plan(tmp_path: Path) -> None:
    plan = TrainingPlan().changed({"training.seed": 7})
    older = interrupted(tmp_path, "a", TrainingPlan())
    newer = interrupted(tmp_path, "b", plan)
    assert interrupted_run(tmp_path, None) == newer
    assert read_plan(newer).digest == plan.digest
    for name in (older.name, unfinished(older).name, f"runs/{older.name}"):
        assert interrupted_run(tmp_path, name) == older


def test_without_one_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no interrupted run"):
        interrupted_run(tmp_path, None)
    with pytest.raises(InputError, match="cannot be gone on with"):
        interrupted_run(tmp_path, "20260101-120000-a")
    final = reserve_run(tmp_path, "empty")
    with pytest.raises(InputError, match="holds no interrupted run"):
        interrupted_run(tmp_path, None)
    with pytest.raises(InputError, match=r"plan\.json cannot be read"):
        read_plan(final)
