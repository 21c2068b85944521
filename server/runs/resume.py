"""Finds the interrupted run that `rarefed-server resume` goes on with, and its plan."""

import json
from pathlib import Path

from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from server.runs.run_naming import final_name, unfinished, unfinished_runs


def interrupted_run(output: Path, name: str | None) -> Path:
    """Return the final name of the interrupted run whose folder is called `name`, or of the latest.

    Raises
    ------
    InputError
        If there is none.
    """
    if name is not None:
        chosen = final_name(output / Path(name).name)
        if not unfinished(chosen).is_dir():
            raise InputError(
                f"{unfinished(chosen)} does not exist: a run that was finished cannot be gone on with; "
                "without a name, the latest interrupted run is taken"
            )
        return chosen
    for folder in unfinished_runs(output):
        if (folder / "plan.json").is_file():
            return final_name(folder)
    raise InputError(f"{output} holds no interrupted run: start one with `rarefed-server run`")


def read_plan(final: Path) -> TrainingPlan:
    """Return the plan of an unfinished run; raises `InputError` if it cannot be read."""
    path = unfinished(final) / "plan.json"
    try:
        return TrainingPlan.from_json(json.dumps(json.loads(path.read_bytes())["plan"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
