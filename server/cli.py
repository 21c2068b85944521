"""`rarefed-server`: says what this version has, and what will come."""

from typing import Annotated

import typer

from common.command_line import print_version, run_command_line
from common.errors import InputError

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def _say(
    version: Annotated[bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """To come: provision, start, run, status, resume: a federation over real hospitals."""
    raise InputError(
        "this version of rarefed has the simulation only (rarefed-sim); to come in rarefed-server: "
        "provision, start, run, status, resume"
    )


def main() -> None:
    """Run `rarefed-server`."""
    run_command_line(app)
