"""One federation from its first to its last round, over Flower's Grid."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from flwr.app import Error, Message, MessageType
from numpy.typing import NDArray

from common.evaluation.evaluation_counts import EvaluationCounts
from common.evaluation.site_weights import bounded_weights
from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.training.model_selection import ModelSelection
from server.rounds.aggregation import make_strategy
from server.rounds.courier import Courier, Member, Request, Transport
from server.rounds.membership import Membership
from server.rounds.messaging import Messenger
from server.rounds.observer import FederationObserver
from server.rounds.quarantine import NORM_ROUNDS, outliers, update_quarantine
from server.rounds.reply_checks import Update, failure_reason, list_failures, read_evaluation, read_update
from server.rounds.state import FederationResult, FederationState, RoundReport


class Federation:
    """Runs the rounds of a plan over hospitals.

    Replies are handled in the order of the hospitals' names, whatever order they arrive in: a sum of floats depends on
    its order, and the same seed must give the same weights. Nothing here draws random numbers: what is random in a
    round follows from the plan's seeds and the round's number, so a resumed federation needs no generator's state.

    Parameters
    ----------
    transport : Transport
        Flower's Grid, or a stand-in.
    plan : TrainingPlan
        What to train, and how.
    classes : int
        Number of classes.
    layout : TailLayout
        How the tail lies in its vector.
    trunk_digest : str
        The trunk that every hospital must have.
    present : callable
        Returns the hospitals that can be reached at this moment. Those that come later take part from the next round.
    observer : FederationObserver
        Is told what happens.
    poll_seconds : float
        Time between two looks for replies.
    retry_seconds : float, optional
        Time before hospitals are asked again; by default `federation.retry_seconds`.
    explain : callable
        Returns why a hospital gave no answer; by default in words of a closed list, since its own may hold anything.
    locate : callable
        Returns a member as it can be reached now, perhaps at another node; None once it was shut out.
    introduction_seconds : float, optional
        How long the first round waits for hospitals that do not introduce themselves, once there are enough others; by
        default `federation.wait_seconds`. They take part once they have.
    """

    def __init__(
        self,
        transport: Transport,
        plan: TrainingPlan,
        *,
        classes: int,
        layout: TailLayout,
        trunk_digest: str,
        present: Callable[[], Sequence[Member]],
        observer: FederationObserver,
        poll_seconds: float = 0.1,
        retry_seconds: float | None = None,
        explain: Callable[[Error], str] = failure_reason,
        locate: Callable[[Member], Member | None] = lambda member: member,
        introduction_seconds: float | None = None,
    ) -> None:
        self._plan = plan
        self._classes = classes
        self._layout = layout
        self._observer = observer
        self._strategy = make_strategy(plan)
        pause = plan.federation.retry_seconds if retry_seconds is None else retry_seconds
        self._courier = Courier(transport, plan, locate)
        self._messenger = Messenger(self._courier, plan.federation, poll_seconds, pause, observer, explain)
        first = plan.federation.wait_seconds if introduction_seconds is None else introduction_seconds
        self._membership = Membership(self._messenger, plan.federation, trunk_digest, present, observer, locate, first)

    def run(self, state: FederationState) -> FederationResult:
        """Train, select the best tail on validation images, and test it.

        Parameters
        ----------
        state : FederationState
            Where to start: at the beginning, or after some rounds.

        Returns
        -------
        FederationResult

        Raises
        ------
        RunError
            If fewer than `federation.min_sites` hospitals take part, or give a usable reply in a round or to the test,
            even after `federation.round_attempts`.
        """
        self._courier.federation = state.federation
        self._membership.introduce_first(len(state.rounds) + 1)
        self._strategy.remember(state.optimizer)
        for report in state.rounds:
            self._observer.round_restored(report)
        total = self._plan.federation.rounds
        while len(state.rounds) < total:
            state = self._next(state)
            self._observer.state_reached(state)
            self._observer.round_finished(state.rounds[-1])
        last = self._evaluate(state.tail, total, "validation")
        kept = self._selection(state).offer(state.tail, last)
        return FederationResult(
            tail=kept.tail,
            selected_round=kept.number,
            averaged_from=kept.averaged_from,
            rounds=state.rounds,
            validation=(*(report.evaluation for report in state.rounds), EvaluationCounts.pool(last.values())),
            test=self._evaluate(kept.tail, kept.number, "test"),
        )

    def _next(self, state: FederationState) -> FederationState:
        """Return the state one round later."""
        report, updates = self._round(state)
        federation = self._plan.federation
        # The first round started from no tail that anybody trained.
        kept = self._selection(state).offer(state.tail, report.evaluations) if report.round > 1 else None
        return FederationState(
            tail=self._strategy.next_tail(report.round, state.tail, updates),
            kept=kept,
            optimizer=self._strategy.memory(),
            rounds=(*state.rounds, report),
            quarantine=update_quarantine(report.round, state.quarantine, report.sites, report.failures, federation),
            federation=state.federation,
        )

    def _selection(self, state: FederationState) -> ModelSelection:
        """Return the selection as it stands before the state's own tail is offered."""
        federation = self._plan.federation
        earlier = (report.evaluations for report in state.rounds[1:])
        return ModelSelection(federation.select, federation.rounds, state.kept, earlier, federation.largest_weight)

    def _round(self, state: FederationState) -> tuple[RoundReport, dict[str, Update]]:
        """Have the hospitals evaluate and train the state's tail; return the report and the usable updates."""
        started = time.monotonic()
        number = len(state.rounds) + 1
        recent = self._recent_norms(state.rounds)

        def too_large(updates: Mapping[str, Update]) -> dict[str, str]:
            norms = {name: update.report.change_norm for name, update in updates.items()}
            return outliers(norms, recent, self._plan.federation.largest_norm)

        request = Request(MessageType.TRAIN, {messages.ROUND: number}, state.tail)
        updates, failures, failed = self._messenger.ask_until_enough(
            f"round {number}",
            request,
            self._read_update,
            partial(self._membership.gather, state.quarantine, number),
            too_large,
        )
        updates = self._weighed(updates)
        sites = {name: update.report for name, update in updates.items()}
        evaluation = EvaluationCounts.pool(site.evaluation for site in sites.values() if site.evaluation is not None)
        seconds = time.monotonic() - started
        report = RoundReport(number, seconds, sites, failures, evaluation, *self._courier.discarded(), failed)
        return report, updates

    def _weighed(self, updates: Mapping[str, Update]) -> dict[str, Update]:
        """Return a round's updates with the weights that they get in the average."""
        images = {name: update.report.images for name, update in updates.items()}
        weights = bounded_weights(images, self._plan.federation.largest_weight)
        return {
            name: replace(update, report=replace(update.report, weight=weights[name]))
            for name, update in updates.items()
        }

    def _recent_norms(self, rounds: Sequence[RoundReport]) -> list[float]:
        """Return the norms of the updates of the last rounds that say what is usual in the next one.

        Once more than the head is trained, norms are many times larger than before.
        """

        def trains_all(number: int) -> bool:
            return number * self._plan.federation.local_epochs > self._plan.training.head_epochs

        alike = [report for report in rounds if trains_all(report.round) == trains_all(len(rounds) + 1)]
        return [site.change_norm for report in alike[-NORM_ROUNDS:] for site in report.sites.values()]

    def _evaluate(self, tail: NDArray[np.float32], after: int, split: str) -> dict[str, EvaluationCounts]:
        """Return by site the evaluation of the tail that stood after a round, where it is shared."""

        def read(name: str, reply: Message) -> EvaluationCounts | None:
            info = self._membership.info(name)
            images = info.test_images if split == "test" else info.validation_images
            return read_evaluation(reply, images, self._classes, self._plan.exchange.score_bins)

        # The round too: a hospital may have layers of its own that belong to this tail.
        request = Request(MessageType.EVALUATE, {messages.SPLIT: split, messages.ROUND: after}, tail)
        what = f"scoring the model on {split} images"
        # No hospital's patients are left out for faults in earlier rounds.
        gather = partial(self._membership.gather, {}, self._plan.federation.rounds + 1)
        evaluations, failures, _ = self._messenger.ask_until_enough(what, request, read, gather)
        if failures:
            self._observer.trouble(f"{what}: {list_failures(failures)}")
        return {name: counts for name, counts in evaluations.items() if counts is not None}

    def _read_update(self, name: str, reply: Message) -> Update:
        info = self._membership.info(name)
        return read_update(reply, info, self._layout, self._classes, self._plan.exchange.score_bins)
