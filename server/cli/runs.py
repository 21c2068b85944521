"""The commands of `rarefed-server` about runs that were started: runs, logs, stop."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import RunError
from common.system.command_line import table_console
from server.cli.output import AS_JSON, TABLE_WIDTH, print_json
from server.cli.provisioned_server import DEFAULT_FOLDER, FOLDER, ProvisionedServer

if TYPE_CHECKING:
    from server.flower.nodes_and_runs import Run

_NO_RUN = "there was no run so far: `rarefed-server run PLAN.toml` starts one"


def runs(as_json: AS_JSON = False, folder: FOLDER = DEFAULT_FOLDER) -> None:
    """List the latest runs, the newest first."""
    from rich.table import Table

    from server.runs.reading import find_run

    server = ProvisionedServer.at(folder)
    with server.control() as control:
        known = [(each, find_run(server.runs, each.id)) for each in control.list_runs()]
    if as_json:
        print_json([asdict(each) | {"folder": str(view.folder) if view else None} for each, view in known])
        return
    if not known:
        typer.echo(_NO_RUN, err=True)
        return
    table = Table("run", "status", "began", "time", "rounds", "to/from hospitals", "folder", box=None)
    for each, view in known:
        began = each.started.astimezone().strftime("%Y-%m-%d %H:%M:%S") if each.started else ""
        traffic = f"{each.bytes_out / 1e6:.1f} / {each.bytes_in / 1e6:.1f} MB"
        rounds, name = (f"{len(view.rounds)}/{view.planned}", view.folder.name) if view else ("", "")
        table.add_row(str(each.id), each.status, began, f"{each.seconds:.0f} s", rounds, traffic, name)
    table_console(TABLE_WIDTH).print(table)


def logs(
    run_id: Annotated[int | None, typer.Argument(metavar="[RUN]", help="[default: the latest]")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Until the run ends.")] = False,
    as_json: AS_JSON = False,
    folder: FOLDER = DEFAULT_FOLDER,
) -> None:
    """Print what a run's ServerApp wrote; an error in one line, its traceback stands in logs/superexec.log."""
    from server.runs.readable_log import readable_lines

    server = ProvisionedServer.at(folder)
    with server.control() as control:
        shown = _latest_unless(run_id, control.list_runs, _NO_RUN)
        if as_json:
            print_json({"run_id": shown, "lines": "".join(control.logs(shown, follow)).splitlines()})
            return
        tracebacks = str(server.folder.logs / "superexec.log")
        for line in readable_lines(control.logs(shown, follow), tracebacks):
            print(line, flush=True)


def stop(
    run_id: Annotated[int | None, typer.Argument(metavar="[RUN]", help="[default: the one that goes on]")] = None,
    as_json: AS_JSON = False,
    folder: FOLDER = DEFAULT_FOLDER,
) -> None:
    """Stop a run; hospitals finish the training that they have begun, and nothing of it is used."""
    from server.flower.nodes_and_runs import FINISHED

    with ProvisionedServer.at(folder).control() as control:
        stopped = _latest_unless(
            run_id,
            lambda: [run for run in control.list_runs() if run.status not in FINISHED],
            "no run goes on, so there is nothing to stop: `rarefed-server runs` lists those that have ended",
        )
        control.stop_run(stopped)
    if as_json:
        print_json({"run_id": stopped, "status": "stopped"})
    else:
        print(f"run {stopped} stopped")


def _latest_unless(run_id: int | None, list_runs: "Callable[[], list[Run]]", without: str) -> int:
    """Return the run that was named, else the latest of a list; raises `RunError`, with these words, without one."""
    if run_id is not None:
        return run_id
    listed = list_runs()
    if not listed:
        raise RunError(without)
    return listed[0].id
