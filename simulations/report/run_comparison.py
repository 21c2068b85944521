"""Runs side by side: the same arms, what differs in their plans, and paired tests where the images are the same."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Group
from rich.text import Text

from common.errors import InputError
from common.statistics.bootstrap import Bootstrap
from common.summary.summary import Summary
from common.summary.summary_file import read_summary
from common.system.files import write_text_atomically
from simulations.analysis.arm_comparison import compare_predictions
from simulations.analysis.predictions import Predictions
from simulations.analysis.predictions_csv import read_predictions
from simulations.report.formatting import MISSING, correct_of_total, interval, rate, share, share_limits
from simulations.report.html import page_templates
from simulations.report.limitations import tell_faults
from simulations.report.tables import (
    NOTES,
    RATES,
    TITLES,
    Cell,
    Row,
    Table,
    differences_table,
    full_title,
    metrics_by_arm,
)
from simulations.report.terminal import draw_table


@dataclass(frozen=True)
class Runs:
    """Finished runs, by the letter that stands for each in the tables."""

    folders: dict[str, Path]
    summaries: dict[str, Summary]
    panels: dict[str, dict[str, Predictions]]


def read_runs(folders: Sequence[Path]) -> Runs:
    """Read two or more run folders.

    Raises
    ------
    InputError
        For fewer than two or more than 26 runs, or one that cannot be read.
    """
    if not 2 <= len(folders) <= 26:
        raise InputError(f"{len(folders)} run folders: name 2 to 26 of them to compare")
    letters = {chr(ord("A") + index): folder for index, folder in enumerate(folders)}
    summaries = {letter: read_summary(folder) for letter, folder in letters.items()}
    panels = {letter: read_predictions(folder, summaries[letter].dataset.classes) for letter, folder in letters.items()}
    return Runs(letters, summaries, panels)


def compare_runs(folders: Sequence[Path]) -> Group:
    """Return runs side by side as rich renderables.

    Parameters
    ----------
    folders : sequence of Path
        Two or more run folders.

    Raises
    ------
    InputError
        When a folder cannot be read.
    """
    runs = read_runs(folders)
    parts: list[Any] = [_names_in_terminal(runs)]
    for table in run_tables(runs):
        parts += draw_table(table)
        if table.caption:
            parts += [Text(table.caption), Text("")]
    return Group(*parts)


def write_comparison(folders: Sequence[Path], path: Path) -> Path:
    """Write runs side by side as one self-contained page; parameters as in `compare_runs`."""
    runs = read_runs(folders)
    page = (
        page_templates()
        .get_template("side_by_side.html.j2")
        .render(
            runs={letter: (runs.folders[letter].name, summary) for letter, summary in runs.summaries.items()},
            tables=run_tables(runs),
        )
    )
    write_text_atomically(path, page)
    return path


def run_tables(runs: Runs) -> list[Table]:
    """Return the tables of a comparison of runs that have something to show."""
    tables = [_arms(runs), _gaps(runs), _plans(runs), *_paired(runs)]
    return [table for table in tables if table.rows]


def _names_in_terminal(runs: Runs) -> Text:
    lines = []
    for letter, summary in runs.summaries.items():
        synthetic = ", synthetic data" if summary.dataset.synthetic else ""
        lines.append(f"{letter}: {runs.folders[letter].name} ({summary.dataset.name}{synthetic})")
        lines += [f"   {told}" for told in tell_faults(summary)]
    return Text("\n".join([*lines, ""]))


def _arms(runs: Runs) -> Table:
    rows = []
    for key in TITLES:
        for letter, summary in runs.summaries.items():
            metrics = metrics_by_arm(summary.arms).get(key)
            if metrics is not None:
                rates = (Cell(rate(name, getattr(metrics, name)), interval(name, metrics)) for name in RATES)
                heading = Cell(TITLES[key], NOTES.get(key, ""))
                rows.append(Row([heading, Cell(letter), Cell(correct_of_total(metrics)), *rates], arm=key))
    columns = [Cell("Arm"), Cell("Run"), Cell("Correct"), *(Cell(title) for title in RATES.values())]
    return Table("arms", "The same arms", columns, rows, "Small print in a cell: 95 % interval.")


def _gaps(runs: Runs) -> Table:
    rows = []
    for letter, summary in runs.summaries.items():
        gaps = summary.gap_closed or {}
        cells = [Cell(share(gap.value), share_limits(gap.ci95) or (gap.reason or "")) for gap in gaps.values()]
        if cells:
            rows.append((letter, dict(zip(gaps, cells, strict=True))))
    names = {"accuracy": "In accuracy", "auc": "In AUC"}
    return Table(
        "gap-closed",
        "Gap closed by federating",
        [Cell("Run"), *(Cell(title) for title in names.values())],
        [Row([Cell(letter), *(found.get(name, Cell(MISSING)) for name in names)]) for letter, found in rows],
        "0 %: as the hospitals’ own models on all patients; 100 %: as pooled images.",
    )


def _plans(runs: Runs) -> Table:
    """Return the plan keys whose values differ; where the runs are kept is no difference worth a line."""
    plans = {letter: _flat(summary.plan) for letter, summary in runs.summaries.items()}
    keys = dict.fromkeys(key for plan in plans.values() for key in plan)
    rows = []
    for key in keys:
        values = [plan.get(key, MISSING) for plan in plans.values()]
        if len(set(values)) > 1 and key not in ("study.output", "study.name"):
            rows.append(Row([Cell(key), *(Cell(value) for value in values)]))
    return Table("plans", "What differs in the plans", [Cell("Key"), *(Cell(letter) for letter in plans)], rows)


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
    (first, one), *others = runs.panels.items()
    tables = []
    for letter, other in others:
        tests = {}
        for key in TITLES:
            aligned = align(one[key], other[key]) if key in one and key in other else None
            if aligned is not None:
                names = (f"{full_title(key)}: {first}", letter)
                bootstrap = Bootstrap.draw(one[key].patients)
                tests[key] = compare_predictions(one[key], aligned, bootstrap, names)
        table = differences_table(tests)
        title = f"{first} minus {letter}, on the same images"
        tables.append(Table(f"paired-{first}-{letter}", title, table.columns, table.rows, table.caption))
    return tables


def align(first: Predictions, second: Predictions) -> Predictions | None:
    """Return the second panel in the image order of the first, or None unless both tested the same images.

    The same means: equal names, labels and patients, and as many classes. The runs may have dealt the patients out to
    other hospitals; the panel names those of the first, since a paired test takes no other images.
    """
    place = {name: index for index, name in enumerate(second.images.tolist())}
    same_names = len(place) == len(second.images) == len(first.images) and set(first.images.tolist()) == set(place)
    if not same_names or first.probabilities.shape[2] != second.probabilities.shape[2]:
        return None
    order = np.array([place[name] for name in first.images.tolist()], dtype=np.int64)
    if (first.labels != second.labels[order]).any() or (first.patients != second.patients[order]).any():
        return None
    return Predictions(
        first.images,
        first.sites,
        first.patients,
        first.labels,
        second.repeats,
        second.folds[:, order],
        second.probabilities[:, order],
    )
