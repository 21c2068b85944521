"""The production ServerApp: runs one federation over the consortium's hospitals and writes its run folder."""

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from common.errors import InputError, RarefedError, RunError
from common.models.classifier import build_model
from common.models.tail_layout import TailLayout
from common.plan.selection import explain_no_choice
from common.plan.training_plan import TrainingPlan
from common.summary.summary_file import write_summary
from server.flower.app_bundle import RESUME_KEY
from server.flower.reply_size import bound_replies
from server.flower.run_lock import release_run_lock, take_run_lock
from server.members.consortium import read_consortium
from server.members.server_folder import FOLDER_VARIABLE, ServerFolder
from server.rounds.arrivals import wait_for_hospitals
from server.rounds.federation import Federation
from server.rounds.grid_transport import GridTransport
from server.rounds.roster import Roster
from server.rounds.state import FederationState
from server.runs.recorder import RunRecorder
from server.runs.released_model import release_model
from server.runs.run_folder import RunFolder
from server.runs.run_naming import reserve_run
from server.runs.summary import summarise

_UNNAMED_CLASSES = ("negative", "positive")
_TRAINING = "federation"
_FLOAT_BYTES = 4
_POLL_SECONDS = 0.5  # each look for replies is a request to the SuperLink and a query of its database

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the federation that Flower's run config describes, and write its run folder."""
    folder = _server_folder()
    settings = dict(context.run_config)
    resumed = str(settings.pop(RESUME_KEY, ""))
    plan = TrainingPlan.from_flat(settings)
    consortium = read_consortium(folder.consortium)
    runs, name = folder.root / consortium.server.runs, plan.study.name or consortium.name
    with _alone(folder), RunFolder(runs / resumed if resumed else reserve_run(runs, name)) as run:
        try:
            if run.is_whole:
                run.log("all was done before the interruption, and only the folder's name was not")
            else:
                run.write_json("flower.json", {"run_id": context.run_id})
                run.write_plan(plan)
                _federate(grid, plan, name, folder, run)
        except Exception as error:
            reason = error if isinstance(error, RarefedError) else repr(error)
            if isinstance(error, OSError):
                reason = RunError(
                    f"{error.filename or run.path} cannot be used ({error.strerror}): mend that, and go on after the "
                    "last whole checkpoint with `rarefed-server resume`"
                )
            # Flower marks the run as failed and prints the traceback; the folder keeps the reason in one line.
            run.log(f"error: {reason}")
            print(f"error: {reason}", flush=True)
            raise
    # Only now: whatever ended the process before found a run to go on with, or to give its name.
    run.forget_rounds(_TRAINING)
    print(f"run folder: {run.final}", flush=True)


def _federate(grid: Grid, plan: TrainingPlan, name: str, folder: ServerFolder, run: RunFolder) -> None:
    """Run the federation from its last checkpoint on, and write everything that the run folder gets at its end."""
    started = time.monotonic()
    classes = plan.data.class_names or _UNNAMED_CLASSES
    model = build_model(plan, len(classes))
    layout = TailLayout.of(model.tail, plan)
    bound_replies(layout.size * _FLOAT_BYTES)
    checkpoints = run.checkpoints(_TRAINING, f"{plan.digest}/{model.trunk_digest}", plan.federation)
    recorder = RunRecorder(run, checkpoints, plan.federation.rounds)
    roster = Roster(folder, grid)
    federation = Federation(
        GridTransport(grid),
        plan,
        classes=len(classes),
        layout=layout,
        trunk_digest=model.trunk_digest,
        present=roster.present,
        locate=roster.locate,
        observer=recorder,
        poll_seconds=_POLL_SECONDS,
    )
    for line in explain_no_choice(plan.federation.select, plan.data.validation_fraction):
        recorder.say(line)
    wait_for_hospitals(roster, plan.federation, recorder, _POLL_SECONDS)
    state = checkpoints.latest(recorder.say)
    if state is not None:
        recorder.say(f"going on after round {len(state.rounds)}/{plan.federation.rounds}")
    beginning = state or FederationState(layout.pack(model.tail), run.final.name)
    result = federation.run(beginning)
    recorder.close()
    infos = list(recorder.hospitals.values())
    summary = summarise(name, plan, classes, infos, model, result, beginning.seconds + time.monotonic() - started)
    run.write_tail("federated", result.tail, layout, {"plan_digest": plan.digest, "trunk_digest": model.trunk_digest})
    release_model(run.path, plan, classes, model, result.tail, summary)
    # Written last: when the summary is there, everything else is.
    write_summary(run.path, summary)


@contextlib.contextmanager
def _alone(folder: ServerFolder) -> Iterator[None]:
    """Refuse a second federation beside one that goes on: hospitals would train for both, and neither in time."""
    if not take_run_lock(folder.run_lock):
        reason = RunError("another federation goes on: wait for its end, or stop it with `rarefed-server stop`")
        print(f"error: {reason}", flush=True)
        raise reason
    try:
        yield
    finally:
        release_run_lock(folder.run_lock)


def _server_folder() -> ServerFolder:
    chosen = os.environ.get(FOLDER_VARIABLE)
    if not chosen:
        raise InputError(f"{FOLDER_VARIABLE} is not set: launch federations by `rarefed-server run`")
    return ServerFolder(Path(chosen))
