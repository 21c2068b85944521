"""`rarefed-server`: the coordinator's command."""

from typing import Annotated

import typer

from common.system.command_line import print_version, run_command_line
from server.cli import members, runs

app = typer.Typer(add_completion=False, no_args_is_help=True)


@app.callback()
def _common(
    version: Annotated[bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """A federation over real hospitals: start its server, run and follow trainings."""


members.register(app)
runs.register(app)


def main() -> None:
    """Run `rarefed-server`."""
    run_command_line(app)
