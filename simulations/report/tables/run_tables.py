"""Runs side by side: the same arms, the gap closed, and what differs in their plans."""

from collections.abc import Mapping
from typing import Any

from simulations.report.formatting import MISSING, share, share_limits
from simulations.report.tables.cells import RATES, correct_and_rates, metrics_by_arm
from simulations.report.tables.runs import Runs
from simulations.report.tables.table import Cell, Row, Table, plain_cells
from simulations.study.arms import ARMS

_GAPS = {"accuracy": "In accuracy", "auc": "In AUC"}
# Where a run is kept is no difference worth a line.
_NOT_COMPARED = ("study.output", "study.name")


def run_tables(runs: Runs) -> list[Table]:
    """Return the tables that describe runs side by side and have something to show."""
    tables = [_arms(runs), _gaps(runs), _plans(runs)]
    return [table for table in tables if table.rows]


def _arms(runs: Runs) -> Table:
    found = {letter: metrics_by_arm(summary.arms) for letter, summary in runs.summaries.items()}
    rows = [
        Row([Cell(arm.title, arm.patients), Cell(letter), *correct_and_rates(by_arm[arm.key], RATES)], arm=arm.key)
        for arm in ARMS.values()
        for letter, by_arm in found.items()
        if arm.key in by_arm
    ]
    columns = plain_cells("Arm", "Run", "Correct", *RATES.values())
    return Table("arms", "The same arms", columns, rows, "Small print in a cell: 95 % interval.")


def _gaps(runs: Runs) -> Table:
    rows = []
    for letter, summary in runs.summaries.items():
        gaps = summary.gap_closed or {}
        cells = {
            name: Cell(share(gap.value), share_limits(gap.ci95) or (gap.reason or "")) for name, gap in gaps.items()
        }
        if cells:
            rows.append(Row([Cell(letter), *(cells.get(name, Cell(MISSING)) for name in _GAPS)]))
    caption = "0 %: as the hospitals’ own models on all patients; 100 %: as pooled images."
    return Table("gap-closed", "Gap closed by federating", plain_cells("Run", *_GAPS.values()), rows, caption)


def _plans(runs: Runs) -> Table:
    """Return the plan keys whose values differ."""
    plans = {letter: _flat(summary.plan) for letter, summary in runs.summaries.items()}
    rows = []
    for key in dict.fromkeys(key for plan in plans.values() for key in plan):
        values = [plan.get(key, MISSING) for plan in plans.values()]
        if len(set(values)) > 1 and key not in _NOT_COMPARED:
            rows.append(Row(plain_cells(key, *values)))
    return Table("plans", "What differs in the plans", plain_cells("Key", *plans), rows)


def _flat(plan: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in plan.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = "(empty)" if value == "" else str(value)
    return flat
