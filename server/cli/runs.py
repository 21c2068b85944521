"""The commands of `rarefed-server` for a provisioned federation: start the server; run, follow and stop runs."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from common.errors import InputError, RunError
from common.plan.groups import Scalar
from common.plan.toml_file import read_plan_file
from common.plan.training_plan import TrainingPlan
from common.system.command_line import parse_change, table_console
from server.cli.folder_option import DEFAULT_FOLDER, FOLDER, open_folder
from server.members.consortium import Consortium, read_consortium
from server.members.server_folder import ServerFolder

if TYPE_CHECKING:
    from server.flower.control_api import Control, Run

AS_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_TABLE_WIDTH = 160


def register(app: typer.Typer) -> None:
    """Add the commands to `rarefed-server`."""
    for command in (start, run, resume, runs, status, logs, stop):
        app.command()(command)
    app.command("app")(show_app_hash)


def start(folder: FOLDER = DEFAULT_FOLDER) -> None:
    """Run the server in the foreground until SIGTERM or Ctrl-C."""
    from server.processes.start import start_server

    opened = _Opened(folder)
    start_server(opened.folder, opened.consortium, lambda line: print(line, flush=True))


def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="Tables such as [federation] with rounds = 5.")],
    changes: Annotated[list[str], typer.Option("--set", help="Any plan key, as in training.seed=2.")] = [],  # noqa: B006
    detach: Annotated[bool, typer.Option("--detach", help="Start the run and return.")] = False,
    as_json: AS_JSON = False,
    folder: FOLDER = DEFAULT_FOLDER,
) -> None:
    """Start a federation and follow it to its end: 0 if it completed, 1 if not."""
    _launch(_Opened(folder), read_overrides(plan, changes), detach, as_json)


def resume(
    run_folder: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Name of its folder. [default: the latest interrupted one]")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Start the run and return.")] = False,
    as_json: AS_JSON = False,
    folder: FOLDER = DEFAULT_FOLDER,
) -> None:
    """Go on with an interrupted federation after its last finished round, with the same plan."""
    from server.flower.app_bundle import RESUME_KEY
    from server.runs.resume import interrupted_run, read_plan

    opened = _Opened(folder)
    final = interrupted_run(opened.runs, run_folder)
    overrides = _overrides(read_plan(final))
    _launch(opened, overrides | {RESUME_KEY: final.name}, detach, as_json)


def _launch(opened: "_Opened", overrides: dict[str, Scalar], detach: bool, as_json: bool) -> None:
    """Start a Flower run and follow it, unless it shall be left alone."""
    from server.flower.app_bundle import app_folder
    from server.runs.follow import follow_run

    with opened.control() as control:
        run_id = control.start_run(app_folder(), overrides)
        if detach:
            if as_json:
                _print_json({"run_id": run_id})
            else:
                print(f"run {run_id} started")
            return
        try:
            ended, view = follow_run(control, opened.runs, run_id, Console(stderr=as_json))
        except KeyboardInterrupt:
            typer.echo(
                f"run {run_id} goes on: `rarefed-server logs {run_id} --follow` follows it, "
                f"`rarefed-server stop {run_id}` ends it",
                err=True,
            )
            raise typer.Exit(130) from None
    if as_json:
        known = {"folder": str(view.folder), "summary": view.summary} if view else {"folder": None, "summary": None}
        _print_json({"run_id": run_id, "status": ended.status, "details": ended.details, **known})
    elif view:
        print(f"run folder: {view.folder}")
    if ended.status != "completed":
        reason = f": {ended.details}" if ended.details else ""
        safe = view is not None and view.rounds
        raise RunError(f"run {run_id} {ended.status}{reason}" + ("; `rarefed-server resume` goes on" if safe else ""))


def runs(as_json: AS_JSON = False, folder: FOLDER = DEFAULT_FOLDER) -> None:
    """List the latest runs, the newest first."""
    from server.runs.reading import find_run

    opened = _Opened(folder)
    with opened.control() as control:
        known = [(each, find_run(opened.runs, each.id)) for each in control.list_runs()]
    if as_json:
        _print_json([asdict(each) | {"folder": str(view.folder) if view else None} for each, view in known])
        return
    table = Table("run", "status", "began", "time", "rounds", "to/from hospitals", "folder", box=None)
    for each, view in known:
        began = each.started.astimezone().strftime("%Y-%m-%d %H:%M:%S") if each.started else ""
        traffic = f"{each.bytes_out / 1e6:.1f} / {each.bytes_in / 1e6:.1f} MB"
        rounds, name = (f"{len(view.rounds)}/{view.planned}", view.folder.name) if view else ("", "")
        table.add_row(str(each.id), each.status, began, f"{each.seconds:.0f} s", rounds, traffic, name)
    table_console(_TABLE_WIDTH).print(table)


def status(
    as_json: AS_JSON = False,
    watch: Annotated[bool, typer.Option("--watch", help="Renew the picture until Ctrl-C.")] = False,
    folder: FOLDER = DEFAULT_FOLDER,
) -> None:
    """Show processes, hospitals and the current run; 1 if the server is not running."""
    from server.processes.status import draw_status, gather_status

    opened = _Opened(folder)
    with opened.control() as control:

        def gather() -> dict[str, Any]:
            return gather_status(opened.folder, opened.runs, control)

        if watch:
            _watch(lambda: draw_status(gather()))
            return
        found = gather()
    if as_json:
        _print_json(found)
    else:
        table_console(_TABLE_WIDTH).print(draw_status(found))
    if not found["running"]:
        raise typer.Exit(1)


def logs(
    run_id: Annotated[int | None, typer.Argument(metavar="[RUN]", help="[default: the latest]")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Until the run ends.")] = False,
    as_json: AS_JSON = False,
    folder: FOLDER = DEFAULT_FOLDER,
) -> None:
    """Print what a run's ServerApp wrote."""
    with _Opened(folder).control() as control:
        shown = _latest_unless(run_id, control.list_runs)
        if as_json:
            _print_json({"run_id": shown, "lines": "".join(control.logs(shown, follow)).splitlines()})
            return
        for text in control.logs(shown, follow):
            print(text, end="", flush=True)


def stop(
    run_id: Annotated[int | None, typer.Argument(metavar="[RUN]", help="[default: the one that goes on]")] = None,
    as_json: AS_JSON = False,
    folder: FOLDER = DEFAULT_FOLDER,
) -> None:
    """Stop a run; hospitals finish the training that they have begun, and nothing of it is used."""
    from server.flower.control_api import FINISHED

    with _Opened(folder).control() as control:
        stopped = _latest_unless(run_id, lambda: [run for run in control.list_runs() if run.status not in FINISHED])
        control.stop_run(stopped)
    if as_json:
        _print_json({"run_id": stopped, "status": "stopped"})
    else:
        print(f"run {stopped} stopped")


def show_app_hash() -> None:
    """Print the SHA-256 of the Flower app, which hospitals approve in hospital.yaml."""
    from server.flower.app_bundle import app_folder, app_hash

    print(app_hash(app_folder()))


def read_overrides(path: Path, changes: list[str]) -> dict[str, Scalar]:
    """Return the plan keys, dotted, in which a plan file and `--set` options differ from the defaults.

    Raises
    ------
    InputError
        In one line, with the file, for what is no plan.
    """
    plan = read_plan_file(path, dict(parse_change(change) for change in changes))
    if plan.study.output:
        raise InputError(f"{path}: study.output is the simulation's; the folder of runs stands in consortium.yaml")
    overrides = _overrides(plan)
    for key in ("study.dropout", "study.hostile_sites", "study.hostile", "study.faults"):
        if key in overrides:
            raise InputError(f"{path}: {key} is the simulation's; it disturbs no real federation")
    return overrides


def _overrides(plan: TrainingPlan) -> dict[str, Scalar]:
    defaults = TrainingPlan().flat()
    return {key: value for key, value in plan.flat().items() if value != defaults[key]}


@dataclass(frozen=True)
class _Opened:
    """A provisioned folder as a command finds it."""

    given: Path

    @cached_property
    def folder(self) -> ServerFolder:
        return open_folder(self.given)

    @cached_property
    def consortium(self) -> Consortium:
        return read_consortium(self.folder.consortium)

    @property
    def runs(self) -> Path:
        return self.folder.root / self.consortium.server.runs

    def control(self) -> "Control":
        """Connect to the running server; imported late, since Flower takes its time."""
        from server.flower.control_api import Control
        from server.processes.programs import superlink_address

        return Control(superlink_address(self.consortium), self.folder.certificate("ca"))


def _latest_unless(run_id: int | None, list_runs: Callable[[], "list[Run]"]) -> int:
    if run_id is not None:
        return run_id
    listed = list_runs()
    if not listed:
        raise RunError("there is no such run")
    return listed[0].id


def _watch(draw: Callable[[], Any]) -> None:
    with Live(console=table_console(_TABLE_WIDTH), auto_refresh=False) as live:
        while True:
            live.update(draw(), refresh=True)
            time.sleep(2)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, default=str))
