"""The comparison in the terminal."""

from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from simulations.comparison import (
    MISSING,
    RATE_COLUMNS,
    RATE_TITLES,
    comparison_rows,
    correct_of_total,
    interval,
    percent,
    rate,
    site_columns,
)
from simulations.summary import Metrics, Summary

TABLE_WIDTH = 110
"""Columns to print in where no terminal says how wide it is."""


def render_table(summary: Summary | Mapping[str, Any]) -> Group:
    """Return the comparison as rich renderables: the arms, then the sites; fits 100 columns.

    Parameters
    ----------
    summary : Summary or mapping
        What `summary.json` holds.
    """
    known = summary if isinstance(summary, Summary) else Summary.model_validate(summary)
    parts: list[Table | Text] = []
    if known.dataset.synthetic:
        parts.append(Text("Synthetic data: these numbers say nothing about medicine.", style="bold"))
    parts.append(_arms(known))
    if known.dataset.sites:
        parts.append(_sites(known))
    return Group(*parts)


def _arms(summary: Summary) -> Table:
    table = _table("Test patients: correct, and rates in % with the AUC (95 % interval below)")
    table.add_column("Arm", ratio=1, min_width=16)
    for title in ("Correct", "Accuracy", *RATE_TITLES):
        table.add_column(title, justify="right", no_wrap=True)
    for row in comparison_rows(summary):
        cells = [_stacked("accuracy", row.metrics)] + [_stacked(name, row.metrics) for name in RATE_COLUMNS]
        # Text, not str: a name in square brackets would be taken for markup.
        label = Text(row.title + (f"\n({row.note})" if row.note else ""))
        table.add_row(label, correct_of_total(row.metrics), *cells)
    return table


def _sites(summary: Summary) -> Table:
    columns = site_columns(summary)
    table = _table("Correct by site")
    table.add_column("Site", ratio=1, min_width=12, overflow="fold")
    for title, note, _ in columns:
        table.add_column(Text(title + (f"\n({note})" if note else "")), justify="right", no_wrap=True)
    for site in summary.dataset.sites:
        cells = []
        for _, _, by_site in columns:
            found = by_site.get(site.name)
            share = f"{percent(found.accuracy):>8}" if found and found.total else ""
            cells.append(f"{correct_of_total(found)}{share}")
        table.add_row(Text(site.name), *cells)
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="", box=box.SIMPLE_HEAD, expand=False, padding=(0, 1))


def _stacked(name: str, metrics: Metrics) -> str:
    """Return the value, and below it its interval."""
    value = rate(name, getattr(metrics, name)).removesuffix(" %")
    limits = interval(name, metrics)
    return f"{value}\n{limits}" if limits and value != MISSING else value
