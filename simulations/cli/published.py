"""The command `rarefed-sim published`: a paper's numbers beside what rarefed reaches on the same images."""

from pathlib import Path
from typing import Annotated

import typer

from common.system.command_line import table_console
from simulations.cli.options import CHANGES, DEFAULT_OUTPUT, OUTPUT, parse_changes, with_paths
from simulations.cli.runs import FRESH, train_all


def published(
    file: Annotated[Path, typer.Argument(help="The paper's protocol, such as simulations/published/breastmnist.toml.")],
    data: Annotated[Path, typer.Argument(help="Your copy of its images, laid out as the file says.")],
    output: OUTPUT = DEFAULT_OUTPUT,
    changes: CHANGES = [],  # noqa: B006
    fresh: FRESH = False,
) -> None:
    """Train by a paper's protocol on the same images; show its numbers beside ours, and what is done differently.

    Interrupt it at any moment: the same command goes on where it stopped.
    """
    from common.summary.summary_file import read_summary
    from common.system.files import write_text_atomically
    from simulations.report.tables.published_table import published_table
    from simulations.report.tables.table import table_csv
    from simulations.report.terminal import TABLE_WIDTH, draw_table
    from simulations.study.published_file import read_published_file

    console = table_console(TABLE_WIDTH)
    protocol = read_published_file(file, data.expanduser().absolute(), parse_changes(changes))
    plans = {name: with_paths(plan, None, 0, output) for name, plan in protocol.plans.items()}
    runs = train_all(list(plans.values()), fresh, console)
    summaries = {name: read_summary(run) for name, run in zip(plans, runs, strict=True)}
    table = published_table(protocol, summaries)
    console.print(*draw_table(table), table.caption, "", "Not as in the paper:", sep="\n", markup=False)
    for sentence in protocol.differs:
        console.print(f"- {sentence}", markup=False, highlight=False)
    path = output / file.stem / f"{table.name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, table_csv(table))
    console.print(f"\ntable: {path}", soft_wrap=True, highlight=False)
