"""Runs side by side: the same arms, the gap closed, what differs in their plans, and paired tests."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from common.statistics.bootstrap import Bootstrap
from common.summary.comparison import PairedTestRecord
from common.summary.summary import Summary
from simulations.analysis.arm_comparison import compare_predictions
from simulations.analysis.predictions import Predictions
from simulations.report.formatting import MISSING, share, share_limits
from simulations.report.tables.cells import RATES, correct_and_rates, metrics_by_arm
from simulations.report.tables.differences_table import differences_table
from simulations.report.tables.table import Cell, Row, Table, plain_cells
from simulations.study.arms import ARMS

_GAPS = {"accuracy": "In accuracy", "auc": "In AUC"}
# Where a run is kept is no difference worth a line.
_NOT_COMPARED = ("study.output", "study.name")


@dataclass(frozen=True)
class Runs:
    """Finished runs, by the letter that stands for each in the tables."""

    folders: dict[str, Path]
    summaries: dict[str, Summary]
    predictions: dict[str, dict[str, Predictions]]


def run_tables(runs: Runs) -> list[Table]:
    """Return the tables of a comparison of runs that have something to show."""
    tables = [_arms(runs), _gaps(runs), _plans(runs), *_paired(runs)]
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


def _paired(runs: Runs) -> list[Table]:
    """Return one table for every later run against the first, of the arms for which both tested the same images."""
    (first, of_first), *others = runs.predictions.items()
    tables = []
    for letter, of_other in others:
        tests: dict[str, PairedTestRecord] = {}
        for key in ARMS:
            if key in of_first and key in of_other:
                test = _test(of_first[key], of_other[key], (f"{ARMS[key].full_title}: {first}", letter))
                tests |= {key: test} if test else {}
        title = f"{first} minus {letter}, on the same images"
        tables.append(replace(differences_table(tests), name=f"paired-{first}-{letter}", title=title))
    return tables


def _test(first: Predictions, second: Predictions, names: tuple[str, str]) -> PairedTestRecord | None:
    """Return the paired test of an arm of two runs; None unless both tested the same images."""
    aligned = second.aligned_with(first)
    if aligned is None:
        return None
    return compare_predictions(first, aligned, Bootstrap.draw(first.patients), names)
