"""The commands `rarefed-sim report` and `compare`: those that read finished runs."""

from pathlib import Path
from typing import Annotated

import typer

from common.system.command_line import table_console


def report(run: Annotated[Path, typer.Argument(help="A run folder.")]) -> None:
    """Draw report.html, figures/ and tables/ again from a run's summary.json and predictions.csv."""
    from simulations.report.html import write_report

    print(write_report(run))


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Two or more run folders.")],
    page: Annotated[Path | None, typer.Option(help="Also write the comparison as an HTML page.")] = None,
) -> None:
    """Set finished runs side by side: their arms, what differs in their plans, and paired tests on the same images."""
    from simulations.report.run_comparison import compare_runs, write_comparison
    from simulations.report.terminal import TABLE_WIDTH

    console = table_console(TABLE_WIDTH)
    console.print(compare_runs(runs))
    if page:
        console.print(write_comparison(runs, page), soft_wrap=True, highlight=False)
