"""Reads a run folder from outside, also while the run goes on."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HOSPITALS_NAME = "hospitals.json"
"""What each hospital answered at the start; no simulation writes one."""

WAITING = "waiting.json"
"""For whom the run waits at this moment, in one line; absent: it does not wait."""


@dataclass(frozen=True)
class RunView:
    """The content of a run folder at this moment; every file may still be missing.

    Attributes
    ----------
    folder : Path
        The run folder, by its present name.
    run_id : int or None
        Flower's number for the run.
    planned : int or None
        Number of rounds of the plan.
    hospitals : dict of str to dict
        What each hospital answered to the query: its version, whether it accepts the plan, and its image counts.
    rounds : list of dict
        One entry per finished round, as in `rounds.jsonl`.
    summary : dict or None
        `summary.json`, once the run is finished.
    waiting : str or None
        For whom the run waits, and what ends that, in one line.
    """

    folder: Path
    run_id: int | None
    planned: int | None
    hospitals: dict[str, dict[str, Any]]
    rounds: list[dict[str, Any]]
    summary: dict[str, Any] | None
    waiting: str | None = None


def view_run(folder: Path) -> RunView:
    """Read a run's folder."""
    flower = _read_json(folder / "flower.json") or {}
    plan = (_read_json(folder / "plan.json") or {}).get("plan", {})
    return RunView(
        folder=folder,
        run_id=flower.get("run_id"),
        planned=plan.get("federation", {}).get("rounds"),
        hospitals=_read_json(folder / HOSPITALS_NAME) or {},
        rounds=_read_rounds(folder / "rounds.jsonl"),
        summary=_read_json(folder / "summary.json"),
        waiting=(_read_json(folder / WAITING) or {}).get("line"),
    )


def find_run(runs: Path, run_id: int) -> RunView | None:
    """Return the view of the run with Flower's id, or None while it has no folder."""
    for folder in _newest_first(runs):
        if (_read_json(folder / "flower.json") or {}).get("run_id") == run_id:
            return view_run(folder)
    return None


def latest_run(runs: Path) -> RunView | None:
    """Return the view of the run that began last, or None if there is none."""
    return next((view_run(folder) for folder in _newest_first(runs) if (folder / "flower.json").is_file()), None)


def _newest_first(runs: Path) -> list[Path]:
    """Return the run folders; their names begin with their time."""
    if not runs.is_dir():
        return []
    return sorted((path for path in runs.iterdir() if path.is_dir() and not path.is_symlink()), reverse=True)


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        # Absent, or its folder was renamed a moment ago.
        return None
    return value if isinstance(value, dict) else None


def _read_rounds(path: Path) -> list[dict[str, Any]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError:
        return []
    # What follows the last newline is not whole yet.
    return [json.loads(line) for line in lines[:-1] if line]
