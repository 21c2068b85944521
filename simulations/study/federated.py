"""The federated arm: one federation over Flower on one fold."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from flwr.clientapp import ClientApp
from numpy.typing import NDArray

from common.models.classifier import Classifier, build_model
from common.models.tail_layout import TailLayout, tail_digest
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from server.rounds.checkpoints import Checkpoints
from server.rounds.courier import Member
from server.rounds.federation import Federation
from server.rounds.observer import FederationObserver, RequireAllHospitals
from server.rounds.state import FederationState, RoundReport
from server.runs.round_records import federated_evaluation, learning_curve
from server.runs.run_folder import RunFolder
from simulations.study.arms import FEDERATED
from simulations.study.faults import with_faults
from simulations.study.layer_folders import LayerFolderTransport
from simulations.study.memory_transport import MemoryTransport
from simulations.study.outcomes import Outcome
from simulations.study.trainings import Unit
from simulations.study.workers import Workers, exception_text


@dataclass(frozen=True)
class Federated:
    """The outcome of a federation, and the model itself."""

    outcome: Outcome
    tail: NDArray[np.float32]
    layout: TailLayout
    trunk_digest: str


class _UnitObserver(RequireAllHospitals):
    """Keeps the checkpoints of a unit's federation and hands its reports on."""

    def __init__(
        self, checkpoints: Checkpoints, on_round: Callable[[RoundReport, bool], None], say: Callable[[str], None]
    ) -> None:
        self._checkpoints = checkpoints
        self._on_round = on_round
        self._say = say

    def state_reached(self, state: FederationState) -> None:
        self._checkpoints.save(state)

    def round_finished(self, report: RoundReport) -> None:
        self._on_round(report, False)

    def round_restored(self, report: RoundReport) -> None:
        self._on_round(report, True)

    def trouble(self, line: str) -> None:
        self._say(line)


def run_federated(
    unit: Unit,
    workers: Workers,
    folder: RunFolder,
    on_round: Callable[[RoundReport, bool], None],
    say: Callable[[str], None],
) -> Federated:
    """Run one federation, one message per site and round, and test the selected model on every site's patients.

    Parameters
    ----------
    unit : Unit
        Of the arm "federated".
    workers : Workers
        Where the sites compute.
    folder : RunFolder
        Keeps a checkpoint of every round; an interrupted federation resumes from the last.
    on_round : callable
        Called after each round, in this thread; also, with True, for the rounds from before an interruption.
    say : callable
        Takes a line about checkpoints and repeated rounds.
    """
    plan, model = unit.plan, build_model(unit.plan, len(unit.consortium.dataset.classes))
    checkpoints = folder.checkpoints(unit.key, f"{unit.key}/{model.trunk_digest}", plan.federation)
    state = checkpoints.latest(say)
    if state and state.rounds:
        say(f"{unit.title}: going on after round {len(state.rounds)}/{plan.federation.rounds}")
    # Simulated hospitals keep their own layers beside the checkpoints, and lose them with these.
    layers = folder.round_checkpoints(unit.key).absolute() / "layers"
    name = f"{folder.final.name}/{unit.key}"
    state = state or _beginning(model, plan, name)
    return _federate(unit, model, workers, layers, _UnitObserver(checkpoints, on_round, say), state)


def federate_in_memory(plan: TrainingPlan, app: ClientApp) -> Outcome:
    """Run one federation within this process, and test its model as `run_federated` does.

    Parameters
    ----------
    plan : TrainingPlan
        Of a unit of the arm "federated".
    app : ClientApp
        Answers for all sites.

    Returns
    -------
    Outcome
        The one that `run_federated` gives, bit for bit.
    """
    unit = Unit(FEDERATED, plan, repeat=0, fold=plan.data.fold)
    model = build_model(plan, len(unit.consortium.dataset.classes))
    workers = Workers(MemoryTransport(app), [MemoryTransport.NODE], 1)
    with TemporaryDirectory() as layers:
        state = _beginning(model, plan, unit.key)
        return _federate(unit, model, workers, Path(layers), RequireAllHospitals(), state).outcome


def _beginning(model: Classifier, plan: TrainingPlan, name: str) -> FederationState:
    """Return where a federation of that name starts: at the tail of the model as it was built."""
    return FederationState(TailLayout.of(model.tail, plan).pack(model.tail), name)


def _federate(
    unit: Unit,
    model: Classifier,
    workers: Workers,
    layers: Path,
    observer: FederationObserver,
    state: FederationState,
) -> Federated:
    """Run a federation from a state on, and test its model."""
    started = time.monotonic()
    plan, sites = unit.plan, unit.consortium.sites
    layout, personal = TailLayout.of(model.tail, plan), TailLayout.personal(model.tail, plan)
    members = [Member(workers.node(number), {messages.SITE: number}) for number in range(len(sites))]
    federation = Federation(
        LayerFolderTransport(with_faults(workers, plan, len(sites)), layers),
        plan,
        classes=len(unit.consortium.dataset.classes),
        layout=layout,
        trunk_digest=model.trunk_digest,
        present=lambda: members,
        observer=observer,
        retry_seconds=0,  # a simulated hospital is not back later
        introduction_seconds=plan.federation.round_seconds,
        explain=exception_text,  # all of it is this machine's own
    )
    result = federation.run(state)
    outcome = Outcome(
        probabilities=workers.predict(unit, result.tail, state.federation, result.selected_round, layers),
        learning_curve=learning_curve(result, plan.federation.rounds),
        selected=result.selected_round / plan.federation.rounds,
        averaged_from=result.averaged_from and result.averaged_from / plan.federation.rounds,
        wall_s=state.seconds + time.monotonic() - started,
        samples_seen=sum(samples_of(unit, report) for report in result.rounds),
        trained_parameters=layout.size + personal.size,
        total_parameters=model.parameter_count,
        weights_digest=tail_digest(result.tail),
        federated_evaluation=federated_evaluation(result),
    )
    return Federated(outcome, result.tail, layout, model.trunk_digest)


def samples_of(unit: Unit, report: RoundReport) -> int:
    """Return how many training images a round showed to the network."""
    return unit.plan.federation.local_epochs * sum(site.images for site in report.sites.values())
