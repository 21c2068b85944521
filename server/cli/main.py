"""`rarefed-server`: the coordinator's command.

The modules of its commands import whatever is large only in the command that needs it, so that `--help` and `status`
answer at once.
"""

import os
from typing import Annotated

import typer

from common.system.command_line import Commands, print_version, run_command_line
from server.cli.federations import resume, run
from server.cli.members import approve, hospitals, nginx_keys, revoke
from server.cli.provisioning import provision, renew
from server.cli.runs import logs, runs, stop
from server.cli.server import show_app_hash, start, status

app = typer.Typer(cls=Commands, add_completion=False, no_args_is_help=True)


@app.callback()
def _common(
    version: Annotated[bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """A federation over real hospitals: start its server, run and follow trainings."""


for _command in (provision, approve, revoke, renew, hospitals, start, run, resume, runs, status, logs, stop):
    app.command()(_command)
app.command("app")(show_app_hash)
app.command("nginx-keys")(nginx_keys)


def main() -> None:
    """Run `rarefed-server`."""
    # Keys, state, logs and runs are this user's alone, from the moment at which they come to be; programs inherit it.
    os.umask(0o077)
    run_command_line(app)
