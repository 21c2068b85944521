"""The comparison in the terminal."""

from rich import box
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

from common.summary.summary import Summary
from simulations.report.formatting import MISSING
from simulations.report.limitations import tell_faults
from simulations.report.tables.arm_tables import arms_table, sites_table
from simulations.report.tables.faults_table import faults_table
from simulations.report.tables.sweep_tables import sweep_tables
from simulations.report.tables.table import Cell, Table
from simulations.report.verdict import reach_verdict

_MANY_COLUMNS = 5

TABLE_WIDTH = 110
"""Columns to print in where no terminal says how wide it is."""


def render_table(summary: Summary) -> Group:
    """Return the comparison as rich renderables: the arms, the sites, the variants, the verdict; fits 110 columns."""
    parts: list[RichTable | Text] = _synthetic(summary)
    parts += _guess(summary)
    parts += [Text(sentence, style="bold") for sentence in tell_faults(summary)]
    parts += draw_table(arms_table(summary), "Test patients: correct images, and rates with their 95 % intervals below")
    if summary.dataset.sites:
        parts += draw_table(sites_table(summary))
    sweeps = sweep_tables(summary)
    for table in sweeps:
        parts += draw_table(table)
    empty = [row for table in sweeps for row in table.rows if row.reason]
    # The same family is missing from several tables.
    reasons = dict.fromkeys(f"{row.cells[0].text}: {row.reason}" for row in empty)
    parts += [Text("\n".join([*reasons, ""]))] if reasons else []
    verdict = reach_verdict(summary)
    parts += [Text(sentence) for sentence in (verdict.headline, verdict.gap, *verdict.limits[:1]) if sentence]
    return Group(*parts)


def render_faults(summary: Summary) -> Group:
    """Return what a study with `study.faults` says of hospitals that fail, and nothing else, as rich renderables."""
    dataset = summary.dataset
    table = faults_table(summary.variants)
    what = f"{dataset.name}, {len(dataset.sites)} hospitals ({dataset.partition}), {summary.cost.rounds} rounds"
    return Group(
        *_synthetic(summary), *_guess(summary), *draw_table(table, f"{table.title}; {what}"), Text(table.caption)
    )


def _guess(summary: Summary) -> list[Text]:
    """Say above the table that its sensitivity may be its specificity."""
    guess = summary.dataset.class_guess
    return [Text(f"Sensitivity and specificity rest on {guess}.", style="bold")] if guess else []


def _synthetic(summary: Summary) -> list[RichTable | Text]:
    if not summary.dataset.synthetic:
        return []
    return [Text("Synthetic data: these numbers say nothing about medicine.", style="bold")]


def draw_table(table: Table, title: str = "") -> list[RichTable | Text]:
    """Return a table as rich renderables; a row that has a reason instead of values shows dashes."""
    drawn = RichTable(
        title=title or table.title, title_justify="left", title_style="", box=box.SIMPLE_HEAD, padding=(0, 1)
    )
    narrow = len(table.columns) > _MANY_COLUMNS
    # Text, not str: a name in square brackets would be taken for markup.
    for index, heading in enumerate(table.columns):
        # With many columns rich cuts a heading off instead of breaking it.
        name = heading.text.replace(" ", "\n", 1) if narrow and index and not heading.note else heading.text
        stacked = Text(name + (f"\n({heading.note})" if heading.note else ""))
        if index == 0:
            words = [len(word) for row in table.rows for word in row.cells[0].text.split()]
            drawn.add_column(stacked, min_width=min(max([12, *words]), 18), overflow="fold")
        else:
            drawn.add_column(stacked, justify="right", overflow="fold")
    for row in table.rows:
        heading, *cells = row.cells if not row.reason else [row.cells[0], *[Cell(MISSING)] * (len(table.columns) - 1)]
        label = Text(heading.text + (f"\n({heading.note})" if heading.note else ""))
        drawn.add_row(label, *(_stacked(cell, narrow) for cell in cells))
    return [drawn, Text("")]


def _stacked(cell: Cell, narrow: bool) -> Text:
    """Return a value with its small print below, and an interval behind a rate one line lower still if need be."""
    note = cell.note.replace(" (", "\n(") if narrow else cell.note
    return Text(cell.text + (f"\n{note}" if note else ""))
