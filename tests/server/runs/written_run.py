"""A run folder as the ServerApp writes it, with invented rounds."""

import json
from pathlib import Path
from typing import Any

HOSPITALS = {
    "alpha": {"node_id": 1, "version": "0.1.0", "accepts": True, "refused_by": None, "train_images": 40},
    "beta": {"node_id": 2, "version": "0.1.0", "accepts": False, "refused_by": "families"},
}


def entry(number: int, **changes: Any) -> dict[str, Any]:
    sites = {"alpha": {"images": 40, "train_loss": 0.5 / number, "change_norm": 1.5}}
    known = {"round": number, "seconds": 12.0, "train_loss": 0.5 / number, "sites": sites, "left_out": {}}
    return known | {"start": {"train_loss": None, "validation_accuracy": 0.8, "validation_auc": 0.9}} | changes


def write_run(folder: Path, rounds: list[dict[str, Any]], run_id: int = 7) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flower.json").write_text(json.dumps({"run_id": run_id}))
    (folder / "plan.json").write_text(json.dumps({"digest": "", "plan": {"federation": {"rounds": 3}}}))
    (folder / "hospitals.json").write_text(json.dumps(HOSPITALS))
    (folder / "rounds.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rounds))
    return folder
