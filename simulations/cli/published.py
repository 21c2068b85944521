"""The command `rarefed-sim published`: a paper's numbers beside what rarefed reaches on the same images."""

from pathlib import Path
from typing import Annotated

import typer

from common.system.command_line import table_console
from common.system.folders import user_path
from simulations.cli.options import CHANGES, DEFAULT_OUTPUT, OUTPUT, parse_changes, with_paths
from simulations.cli.runs import FRESH, show_table, train_each


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
    from simulations.report.tables.published_table import published_table
    from simulations.report.terminal import TABLE_WIDTH
    from simulations.study.published_file import read_published_file

    console = table_console(TABLE_WIDTH)
    protocol = read_published_file(file, user_path(data), parse_changes(changes))
    plans = {name: with_paths(plan, None, 0, output) for name, plan in protocol.plans.items()}
    table = published_table(protocol, train_each(plans, fresh, console))
    path = show_table(table, output / file.stem, console)
    console.print("Not as in the paper:")
    for sentence in protocol.differs:
        console.print(f"- {sentence}", markup=False, highlight=False)
    console.print(f"\ntable: {path}", soft_wrap=True, highlight=False)
