"""The report of a run: one self-contained page, and its figures and tables as files for a paper.

The page has no script and makes no request; it is readable on a phone, in the dark and on paper.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from common.summary.summary import Summary
from common.summary.summary_file import read_summary
from common.system.files import write_bytes_atomically, write_text_atomically
from simulations.analysis.predictions_csv import read_predictions
from simulations.report.figures.study_figures import StudyFigures, draw_study_figures
from simulations.report.page_templates import page_templates
from simulations.report.tables.arm_tables import arms_table, calibration_table, cost_table, sites_table
from simulations.report.tables.cells import metrics_by_arm
from simulations.report.tables.differences_table import differences_table
from simulations.report.tables.sweep_tables import sweep_tables
from simulations.report.tables.table import Table, table_csv
from simulations.report.verdict import reach_verdict


def write_report(run: Path) -> Path:
    """Draw a run's report from its `summary.json` and `predictions.csv`: `report.html`, `figures/` and `tables/`.

    Parameters
    ----------
    run : Path
        The folder of a finished run.

    Returns
    -------
    Path
        The page; it is replaced in one step, so nobody reads half of it.

    Raises
    ------
    InputError
        When one of the two files is missing, broken, or of another version.
    """
    summary = read_summary(run)
    figures = draw_study_figures(summary, read_predictions(run, summary.dataset.classes))
    (run / "figures").mkdir(exist_ok=True)
    for drawing in figures.all():
        for suffix, content in drawing.files().items():
            write_bytes_atomically(run / "figures" / f"{drawing.name}{suffix}", content)
    (run / "tables").mkdir(exist_ok=True)
    for table in all_tables(summary):
        write_text_atomically(run / "tables" / f"{table.name}.csv", table_csv(table))
    path = run / "report.html"
    write_text_atomically(path, render_report(summary, figures))
    return path


def render_report(summary: Summary, figures: StudyFigures) -> str:
    """Return the page as HTML."""
    classes = summary.dataset.classes
    return (
        page_templates()
        .get_template("report.html.j2")
        .render(
            summary=summary,
            verdict=reach_verdict(summary),
            arms=metrics_by_arm(summary.arms),
            arms_table=arms_table(summary),
            sites_table=sites_table(summary),
            differences_table=differences_table(summary.tests),
            calibration_table=calibration_table(summary),
            cost_table=cost_table(summary),
            sweep_tables=sweep_tables(summary),
            figures=figures,
            plan=_grouped(summary.plan),
            positive=classes[1] if len(classes) == 2 else None,
        )
    )


def all_tables(summary: Summary) -> list[Table]:
    """Return every table of a study that has a row."""
    tables = [
        arms_table(summary),
        sites_table(summary),
        differences_table(summary.tests),
        calibration_table(summary),
        cost_table(summary),
        *sweep_tables(summary),
    ]
    return [table for table in tables if table.rows]


def _grouped(plan: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Return the plan by group, values as JSON; keys that stand alone get a group without a name."""
    groups = {name: values for name, values in plan.items() if isinstance(values, dict)}
    alone = {name: value for name, value in plan.items() if not isinstance(value, dict)}
    nested = ({"": alone} if alone else {}) | groups
    return {
        group: {key: json.dumps(value, ensure_ascii=False) for key, value in values.items()}
        for group, values in nested.items()
    }
