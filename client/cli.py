"""`rarefed-hospital`: says what this version has, and what will come."""

from typing import Annotated

import typer

from common.command_line import print_version, run_command_line
from common.errors import InputError

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def _say(
    version: Annotated[bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """To come: check, enroll, start, preview, audit: the daemon that runs inside a hospital."""
    raise InputError(
        "this version of rarefed has the simulation only (rarefed-sim); to come in rarefed-hospital: "
        "check, enroll, start, preview, audit"
    )


def main() -> None:
    """Run `rarefed-hospital`."""
    run_command_line(app)
