"""Earlier runs of the same plan: interrupted ones to resume, and finished ones to use instead of a new one.

The process that cleans up after a run imports this, so it loads nothing large.
"""

import contextlib
import json
import time
from collections.abc import Container
from pathlib import Path

from common.system.files import try_lock, write_text_atomically
from server.runs.run_naming import ROUND_CHECKPOINTS, final_name, is_unfinished, reserve_run, unfinished_runs

# How long a process that was killed a moment ago may still hold its folder.
_LOCK_SECONDS = 15


def resume_or_reserve(output: Path, name: str, plan_digest: str) -> Path:
    """Return the final name of the latest interrupted run of a plan that is worth resuming, else of a new run.

    Parameters
    ----------
    output : Path
        Folder of the run folders.
    name : str
        Of a new run.
    plan_digest : str
        `TrainingPlan.digest`.
    """
    deadline = time.monotonic() + _LOCK_SECONDS
    for folder in unfinished_runs(output):
        if not worth_resuming(folder) or _digest_in(folder) != plan_digest:
            continue
        with contextlib.suppress(OSError), (folder / "run.log").open("a") as log:
            while not (free := try_lock(log)) and time.monotonic() < deadline:
                time.sleep(0.2)
            if free:
                return final_name(folder)
    return reserve_run(output, name)


def runs_without_plan(output: Path) -> list[Path]:
    """Return the interrupted runs that would be worth resuming if their ``plan.json`` could be read."""
    return [folder for folder in unfinished_runs(output) if worth_resuming(folder) and _digest_in(folder) is None]


def finished_run(output: Path, plan_digest: str) -> Path | None:
    """Return the latest finished run of a plan; None if there is none."""
    for folder in sorted(output.glob("*"), reverse=True):
        finished = not is_unfinished(folder) and not folder.is_symlink()
        if finished and (folder / "summary.json").is_file() and _digest_in(folder) == plan_digest:
            return folder
    return None


def worth_resuming(folder: Path) -> bool:
    """Say whether a run folder holds a finished training, or a finished round of one."""
    return any((folder / "units").glob("*.json")) or any((folder / ROUND_CHECKPOINTS).glob("*/*.json"))


def keep_rounds(folder: Path, units: Container[str]) -> None:
    """Drop from `rounds.jsonl` the lines that an interrupted run left of other trainings than these: they start anew.

    Parameters
    ----------
    folder : Path
        The run folder, by the name that it has now.
    units : container of str
        Keys of the finished trainings.
    """
    path = folder / "rounds.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.is_file() else []
    kept = []
    for line in lines:
        with contextlib.suppress(ValueError):  # the last line may be torn
            if json.loads(line).get("unit") in units:
                kept.append(line)
    write_text_atomically(path, "".join(kept))


def _digest_in(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / "plan.json").read_bytes())["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
