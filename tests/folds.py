"""Adds up runs over the folds of one data set: each image is then tested exactly once. `make folds` calls it."""

import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from common.errors import InputError

_ARMS = {
    "centralized": "Centralised",
    "federated": "Federated",
    "local": "Each hospital alone (own patients)",
    "on_all_sites": "Each hospital alone (all patients, mean of the models)",
}


def main(runs: list[Path]) -> None:
    """Print, for each arm of the given run folders, the sum of the counts and the mean AUC."""
    summaries: list[dict[str, Any]] = [json.loads((run / "summary.json").read_text()) for run in runs]
    folds = sorted(summary["plan"]["data"]["fold"] for summary in summaries)
    if len(set(folds)) < len(folds):
        raise InputError(f"folds {folds}: some fold is there twice")
    table = Table("arm", "correct", "accuracy", "sensitivity", "specificity", "mean AUC", title=f"folds {folds}")
    for key, title in _ARMS.items():
        arms = [_arm(summary["arms"], key) for summary in summaries]
        found = [arm for arm in arms if arm]
        if not found:
            continue
        correct, total = sum(arm["correct"] for arm in found), sum(arm["total"] for arm in found)
        cells = [f"{correct:.0f}/{total}", f"{correct / total:.1%}", *_rates(found)]
        table.add_row(title, *cells, f"{sum(arm['auc'] for arm in found) / len(found):.3f}")
    Console(width=120).print(table)


def _arm(arms: dict[str, Any], key: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = arms.get("local", {}).get(key) if key == "on_all_sites" else arms.get(key)
    return found


def _rates(arms: list[dict[str, Any]]) -> list[str]:
    if "confusion" not in arms[0] or len(arms[0]["confusion"]) > 2:
        return ["", ""]
    (true_negative, false_positive), (false_negative, true_positive) = (
        [sum(arm["confusion"][row][column] for arm in arms) for column in (0, 1)] for row in (0, 1)
    )
    sensitivity = true_positive / (true_positive + false_negative)
    return [f"{sensitivity:.1%}", f"{true_negative / (true_negative + false_positive):.1%}"]


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
