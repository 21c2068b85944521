"""The commands of `rarefed-server` that run a federation: run, resume."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from common.errors import InputError, RunError
from common.system.command_line import parse_change
from server.cli.output import AS_JSON, print_json
from server.cli.provisioned_server import DEFAULT_FOLDER, FOLDER, ProvisionedServer

if TYPE_CHECKING:
    from common.plan.groups import Scalar
    from common.plan.training_plan import TrainingPlan
    from server.flower.control_api import Control
    from server.flower.nodes_and_runs import Run
    from server.runs.reading import RunView

DETACH = Annotated[bool, typer.Option("--detach", help="Start the run and return.")]


def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN.toml", help="Tables such as [federation] with rounds = 5.")],
    changes: Annotated[list[str], typer.Option("--set", help="Any plan key, as in training.seed=2.")] = [],  # noqa: B006
    detach: DETACH = False,
    as_json: AS_JSON = False,
    folder: FOLDER = DEFAULT_FOLDER,
) -> None:
    """Start a federation and follow it to its end: 0 if it completed, 1 if not."""
    overrides = read_overrides(plan, changes)
    _launch(ProvisionedServer.at(folder), overrides, detach, as_json)


def resume(
    run_folder: Annotated[
        str | None, typer.Argument(metavar="[RUN]", help="Name of its folder. [default: the latest interrupted one]")
    ] = None,
    detach: DETACH = False,
    as_json: AS_JSON = False,
    folder: FOLDER = DEFAULT_FOLDER,
) -> None:
    """Go on with an interrupted federation after its last finished round, with the same plan."""
    from server.flower.app_bundle import RESUME_KEY
    from server.runs.resume import interrupted_run, read_plan

    server = ProvisionedServer.at(folder)
    final = interrupted_run(server.runs, run_folder)
    _launch(server, _overrides(read_plan(final)) | {RESUME_KEY: final.name}, detach, as_json)


def read_overrides(path: Path, changes: list[str]) -> "dict[str, Scalar]":
    """Return the plan keys, dotted, in which a plan file and `--set` options differ from the defaults.

    Raises
    ------
    InputError
        In one line, with the file, for what is no plan.
    """
    from common.plan.toml_file import read_plan_file

    plan = read_plan_file(path, dict(parse_change(change) for change in changes))
    if plan.study.output:
        raise InputError(f"{path}: study.output is the simulation's; the folder of runs stands in consortium.yaml")
    overrides = _overrides(plan)
    for key in ("study.dropout", "study.hostile_sites", "study.hostile", "study.faults"):
        if key in overrides:
            raise InputError(f"{path}: {key} is the simulation's; it disturbs no real federation")
    return overrides


def _overrides(plan: "TrainingPlan") -> "dict[str, Scalar]":
    defaults = type(plan)().flat()
    return {key: value for key, value in plan.flat().items() if value != defaults[key]}


def _launch(server: ProvisionedServer, overrides: "dict[str, Scalar]", detach: bool, as_json: bool) -> None:
    """Start a Flower run and follow it, unless it is to be detached."""
    from server.flower.app_bundle import app_folder
    from server.runs.follow import follow_run

    with server.control() as control:
        _check_alone(server, control)
        run_id = control.start_run(app_folder(), overrides)
        if detach:
            if as_json:
                print_json({"run_id": run_id})
            else:
                print(f"run {run_id} started")
            return
        try:
            ended, view = follow_run(control, server.runs, run_id, Console(stderr=as_json, markup=False))
        except KeyboardInterrupt:
            typer.echo(
                f"run {run_id} goes on: `rarefed-server logs {run_id} --follow` follows it, "
                f"`rarefed-server stop {run_id}` ends it",
                err=True,
            )
            raise typer.Exit(130) from None
    _tell_end(ended, view, as_json)


def _check_alone(server: ProvisionedServer, control: "Control") -> None:
    """Raise `RunError` if a federation goes on, or is about to begin.

    Of one that has begun its lock says so: Flower takes a run whose process died for a running one, for a while.
    """
    from common.system.files import is_locked
    from server.flower.nodes_and_runs import FINISHED

    unfinished = [run for run in control.list_runs() if run.status not in FINISHED]
    locked = is_locked(server.folder.run_lock)
    if locked and not unfinished:
        raise RunError("the run before has not ended yet: try again in a moment")
    if locked or any(run.status != "running" for run in unfinished):
        going = min(unfinished, key=lambda run: run.status != "running").id
        raise RunError(
            f"run {going} goes on, and there is one at a time: `rarefed-server logs {going} --follow` follows it, "
            f"`rarefed-server stop {going}` ends it"
        )


def _tell_end(ended: "Run", view: "RunView | None", as_json: bool) -> None:
    """Print how a run ended; raises `RunError` unless it completed."""
    if as_json:
        known = {"folder": str(view.folder), "summary": view.summary} if view else {"folder": None, "summary": None}
        print_json({"run_id": ended.id, "status": ended.status, "details": ended.details, **known})
    elif view:
        print(f"run folder: {view.folder}")
    if ended.status != "completed":
        reason = f": {ended.details}" if ended.details else ""
        safe = view is not None and view.rounds
        raise RunError(f"run {ended.id} {ended.status}{reason}" + ("; `rarefed-server resume` goes on" if safe else ""))
