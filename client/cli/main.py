"""`rarefed-hospital`: the hospital IT's command.

Every command imports what it needs when it is called, so that none waits for the libraries of another.
"""

from typing import Annotated

import typer

from client.cli import audit, check, daemon, enroll, plans, preview
from common.system.command_line import Commands, print_version, run_command_line

app = typer.Typer(
    cls=Commands,
    help="Inside a hospital: check the data, decide what may run and leave, take part.",
    no_args_is_help=True,
)
for commands in (enroll, daemon, preview, plans, audit, check):
    commands.register(app)


@app.callback()
def _common(
    version: Annotated[bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show it.")] = False,
) -> None:
    pass


def main() -> None:
    """Run `rarefed-hospital`."""
    run_command_line(app)
