"""`rarefed-sim`: the researcher's command.

The modules of its commands import whatever is large only in the command that needs it, so that `--help` answers at
once.
"""

from typing import Annotated

import typer

from common.system.command_line import Commands, print_version, run_command_line
from simulations.cli import weights
from simulations.cli.check import check
from simulations.cli.data import hand_out, phantom
from simulations.cli.demo import demo
from simulations.cli.published import published
from simulations.cli.recipes import recipes
from simulations.cli.reports import compare, report
from simulations.cli.runs import robustness, run, study

app = typer.Typer(
    cls=Commands,
    help="Hospitals on one machine: is federating worth it for these images?",
    no_args_is_help=True,
)


@app.callback()
def _common(
    version: Annotated[bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show it.")] = False,
) -> None:
    pass


for _command in (check, run, study, recipes, published, robustness, hand_out, demo, report, compare, phantom):
    app.command()(_command)
app.add_typer(weights.app, name="weights")


def main() -> None:
    """Run `rarefed-sim`."""
    run_command_line(app)


if __name__ == "__main__":
    main()
