"""The production ServerApp: one federation over the consortium's hospitals, from Flower's run to the run folder."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from common.errors import InputError, RarefedError, RunError
from common.models.classifier import build_model
from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.protocol.refusals import refusing_rule
from server.flower.app_bundle import RESUME_KEY
from server.members.consortium import read_consortium
from server.members.registry import admitted_nodes
from server.members.server_folder import FOLDER_VARIABLE, ServerFolder
from server.rounds.federation import Federation
from server.rounds.messaging import Member
from server.rounds.reply_checks import SiteInfo
from server.rounds.state import FederationState, RoundReport
from server.runs.released_model import release_model
from server.runs.round_records import round_entry
from server.runs.run_folder import RunFolder, reserve_run
from server.runs.summary import summarise
from server.runs.tensorboard import RoundEvents

_UNNAMED_CLASSES = ("negative", "positive")
_TRAINING = "federation"
_POLL_SECONDS = 0.5  # every look for replies is a request to the SuperLink and a query of its database

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
    with RunFolder(runs / resumed if resumed else reserve_run(runs, name)) as run:
        try:
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


def _federate(grid: Grid, plan: TrainingPlan, name: str, folder: ServerFolder, run: RunFolder) -> None:
    started = time.monotonic()
    infos: dict[str, SiteInfo] = {}
    answers: dict[str, dict[str, object]] = {}
    events = RoundEvents(run.path / "tensorboard")

    def emit(line: str) -> None:
        print(line, flush=True)
        run.log(line)

    def note_hospitals(taking_part: Sequence[SiteInfo], left_out: Mapping[str, str]) -> None:
        infos.update({info.name: info for info in taking_part})
        answers.update(_answers(taking_part, left_out))
        run.write_json("hospitals.json", answers)
        if taking_part:
            emit(f"{len(infos)} hospitals take part: {', '.join(sorted(infos))}")
        for hospital, reason in left_out.items():
            emit(f"{hospital} left out: {reason}")

    def note_round(report: RoundReport) -> None:
        entry = round_entry(report, plan.federation.rounds)
        run.append_round(entry)
        events.add(entry)
        loss = "" if report.train_loss is None else f", loss {report.train_loss:.3f}"
        place = f"round {report.round}/{plan.federation.rounds}"
        emit(f"{place}: {len(report.sites)} hospitals, {report.seconds:.0f} s{loss}")
        for hospital, reason in report.failures.items():
            emit(f"{hospital} left out of round {report.round}: {reason}")
        for hospital, count in report.late.items():
            emit(f"{hospital}: {count} late, discarded")
        for hospital, count in report.repeated.items():
            emit(f"{hospital}: {count} more than one, discarded")

    classes = plan.data.class_names or _UNNAMED_CLASSES
    model = build_model(plan, len(classes))
    layout = TailLayout.of(model.tail, plan)
    checkpoints = run.checkpoints(_TRAINING, f"{plan.digest}/{model.trunk_digest}", plan.federation)
    federation = Federation(
        grid,
        plan,
        classes=len(classes),
        layout=layout,
        trunk_digest=model.trunk_digest,
        present=lambda: _online(grid, admitted_nodes(folder)),
        on_round=note_round,
        on_state=checkpoints.save,
        on_trouble=emit,
        on_introduced=note_hospitals,
        poll_seconds=_POLL_SECONDS,
    )
    _wait_for_hospitals(grid, folder, plan)
    state = checkpoints.latest(emit)
    if state is not None:
        emit(f"going on after round {len(state.rounds)}/{plan.federation.rounds}")
    run.keep_rounds(set())
    result = federation.run(state or FederationState(layout.pack(model.tail), run.final.name))
    events.close()
    summary = summarise(name, plan, classes, list(infos.values()), model, result, time.monotonic() - started)
    run.write_tail("federated", result.tail, layout, {"plan_digest": plan.digest, "trunk_digest": model.trunk_digest})
    release_model(run.path, plan, classes, model, result.tail, summary)
    # The last: whoever sees the summary finds everything else.
    run.write_json("summary.json", summary)
    run.forget_rounds(_TRAINING)
    emit(f"run folder: {run.final}")


def _online(grid: Grid, admitted: Mapping[int, str]) -> list[Member]:
    """Return those of the admitted hospitals that are online, by their names."""
    online = set(grid.get_node_ids())
    by_name = sorted(admitted.items(), key=lambda each: each[1])
    return [Member(node, name=name) for node, name in by_name if node in online]


def _wait_for_hospitals(grid: Grid, folder: ServerFolder, plan: TrainingPlan) -> None:
    """Return once all admitted hospitals are online, or after `federation.wait_seconds` enough of them."""
    deadline = time.monotonic() + plan.federation.wait_seconds
    while True:
        admitted = admitted_nodes(folder)  # anew, since some may be approved meanwhile
        online = {member.name for member in _online(grid, admitted)}
        absent = sorted(set(admitted.values()) - online)
        if online and not absent:
            return
        if time.monotonic() > deadline:
            if len(online) >= plan.federation.min_sites:
                return
            raise RunError(
                f"{len(online)} of {len(online) + len(absent)} admitted hospitals came online within "
                f"{plan.federation.wait_seconds:.0f} s, federation.min_sites is {plan.federation.min_sites}; "
                f"offline: {', '.join(absent) or 'nobody was approved yet (rarefed-server approve)'}"
            )
        time.sleep(_POLL_SECONDS)


def _answers(taking_part: Sequence[SiteInfo], left_out: Mapping[str, str]) -> dict[str, dict[str, object]]:
    """Return what `rarefed-server status` shows of each hospital."""
    told: dict[str, dict[str, object]] = {
        info.name: {
            "version": info.version,
            "train_images": info.train_images,
            "validation_images": info.validation_images,
            "test_images": info.test_images,
            "accepts": True,
        }
        for info in taking_part
    }
    for hospital, reason in left_out.items():
        told[hospital] = {"accepts": False, "refused_by": refusing_rule(reason), "reason": reason}
    return told


def _server_folder() -> ServerFolder:
    chosen = os.environ.get(FOLDER_VARIABLE)
    if not chosen:
        raise InputError(f"{FOLDER_VARIABLE} is not set: launch federations by `rarefed-server run`")
    return ServerFolder(Path(chosen))
