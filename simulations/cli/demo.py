"""The command `rarefed-sim demo`."""

from pathlib import Path
from typing import Annotated

import typer

from common.system.command_line import table_console
from simulations.cli.options import CHANGES, DATA, DEFAULT_OUTPUT, OUTPUT, SITES, parse_plan, with_paths


def demo(
    data: DATA = None,
    sites: SITES = 0,
    output: OUTPUT = DEFAULT_OUTPUT,
    folder: Annotated[Path, typer.Option(help="Of consortium, server and hospitals; emptied first.")] = Path("demo"),
    rounds: Annotated[int, typer.Option(help="Of the federation.", min=1)] = 5,
    changes: CHANGES = [],  # noqa: B006
) -> None:
    """Rehearse a real federation: server, daemons, TLS, keys, rules and audit logs, all on this machine."""
    from simulations.local_federation.demo import demonstrate
    from simulations.report.terminal import TABLE_WIDTH, render_table

    plan = with_paths(parse_plan(changes, {"federation.rounds": rounds}), data, sites, output)
    summary = demonstrate(plan, folder, output, lambda line: print(line, flush=True))
    table_console(TABLE_WIDTH).print(render_table(summary))
