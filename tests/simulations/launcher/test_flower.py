"""The Flower app of a run."""

import tomllib
from pathlib import Path

from common.plan.training_plan import TrainingPlan
from simulations.launcher.flower import write_app
from simulations.study.launch_settings import GROUP, RUN_FOLDER, WORKERS


def test_the_app_of_a_run_carries_the_plan_and_no_code(tmp_path: Path) -> None:
    plan = TrainingPlan.from_flat({"training.seed": 7, "data.path": str(tmp_path)})
    write_app(tmp_path / "app", plan, tmp_path / "run", 2)
    (only,) = (tmp_path / "app").iterdir()
    assert only.name == "pyproject.toml"
    nested = tomllib.loads(only.read_text())["tool"]["flwr"]["app"]["config"]
    assert nested.pop(GROUP) == {RUN_FOLDER: str(tmp_path / "run"), WORKERS: 2}
    flat = {f"{group}.{key}": value for group, values in nested.items() for key, value in values.items()}
    assert TrainingPlan.from_flat(flat).digest == plan.digest
