"""The commands of `rarefed-server` about the server itself: start, status, app."""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from common.system.command_line import table_console
from server.cli.output import AS_JSON, TABLE_WIDTH, print_json
from server.cli.provisioned_server import DEFAULT_FOLDER, FOLDER, ProvisionedServer

if TYPE_CHECKING:
    from rich.console import RenderableType

_WATCH_SECONDS = 2


def start(folder: FOLDER = DEFAULT_FOLDER) -> None:
    """Run the server in the foreground until SIGTERM or Ctrl-C."""
    from server.processes.start import start_server

    server = ProvisionedServer.at(folder)
    start_server(server.folder, server.consortium, lambda line: print(line, flush=True))


def status(
    as_json: AS_JSON = False,
    watch: Annotated[bool, typer.Option("--watch", help="Renew the picture until Ctrl-C.")] = False,
    folder: FOLDER = DEFAULT_FOLDER,
) -> None:
    """Show processes, hospitals and the current run; 1 if the server is not running."""
    from server.processes.status import draw_status, gather_status

    server = ProvisionedServer.at(folder)
    with server.control() as control:

        def gather() -> dict[str, Any]:
            return gather_status(server.folder, server.consortium, control)

        if watch:
            _watch(lambda: draw_status(gather()))
            return
        found = gather()
    if as_json:
        print_json(found)
    else:
        table_console(TABLE_WIDTH).print(draw_status(found))
    if not found["running"]:
        raise typer.Exit(1)


def show_app_hash() -> None:
    """Print the SHA-256 of the Flower app, which hospitals approve in hospital.yaml."""
    from server.flower.app_bundle import app_folder, app_hash

    print(app_hash(app_folder()))


def _watch(draw: "Callable[[], RenderableType]") -> None:
    from rich.live import Live

    with Live(console=table_console(TABLE_WIDTH), auto_refresh=False) as live:
        while True:
            live.update(draw(), refresh=True)
            time.sleep(_WATCH_SECONDS)
