"""One federation from first to last round, over Flower's Grid."""

import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from flwr.app import Message, MessageType
from flwr.serverapp import Grid
from numpy.typing import NDArray

from common.errors import RunError
from common.evaluation.evaluation_counts import EvaluationCounts
from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.refusals import refusing_rule
from common.training.model_selection import ModelSelection
from server.rounds.aggregation import make_strategy
from server.rounds.messaging import Member, Messenger, Transport, in_words
from server.rounds.quarantine import NORM_ROUNDS, OFFLINE, QuarantineStatus, outliers, update_quarantine
from server.rounds.reply_checks import BadReply, SiteInfo, Update, read_info, read_score, read_update
from server.rounds.state import FederationState, RoundReport

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class FederationResult:
    """The selected global tail and how it came about.

    Attributes
    ----------
    tail : ndarray of float32, shape (layout.size,)
        The selected one.
    selected_round : int
        After which round it stood.
    rounds : tuple of RoundReport
        In order.
    validation : tuple of EvaluationCounts or None
        Of the global tail after 0, 1, ... rounds, over all hospitals.
    test : dict of str to EvaluationCounts
        Of the selected tail, by site.
    """

    tail: NDArray[np.float32]
    selected_round: int
    rounds: tuple[RoundReport, ...]
    validation: tuple[EvaluationCounts | None, ...]
    test: dict[str, EvaluationCounts]


def _insist_on_all(infos: Sequence[SiteInfo], left_out: Mapping[str, str]) -> None:
    if left_out:
        raise RunError(f"hospitals did not introduce themselves: {in_words(left_out)}")


class Federation:
    """Runs the rounds of a plan over hospitals.

    Replies are always handled in the order of the hospitals' names, whatever order they arrive in: sums of floats
    depend on their order, and the same seed shall give the same weights. Nothing here draws random numbers: what is
    random in a round follows from the plan's seeds and the round's number, so that a resumed federation needs no
    generator's state.

    Parameters
    ----------
    transport : Transport
        Flower's Grid, or what stands before it.
    plan : TrainingPlan
        What to do.
    classes : int
        Number of classes.
    layout : TailLayout
        How the tail lies in its vector.
    trunk_digest : str
        The trunk that every hospital must have.
    present : callable
        Returns the hospitals that can be reached at this moment. Those that come later take part from the next round
        on.
    on_round : callable
        Called with each `RoundReport` as soon as the round is over and its checkpoint is safe.
    on_state : callable
        Called with the state after each round, before `on_round`: to keep it.
    on_trouble : callable
        Takes a line about a round that is repeated, or a hospital that did not score the model.
    on_introduced : callable
        Called with the hospitals that newly take part, and by name why others do not: at first, and whenever some come
        later. By default all must.
    poll_seconds : float
        Between two looks for replies.
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
        on_round: Callable[[RoundReport], None],
        on_state: Callable[[FederationState], None] = lambda state: None,
        on_trouble: Callable[[str], None] = lambda line: None,
        on_introduced: Callable[[Sequence[SiteInfo], Mapping[str, str]], None] = _insist_on_all,
        poll_seconds: float = 0.1,
    ) -> None:
        self._plan = plan
        self._classes = classes
        self._layout = layout
        self._trunk_digest = trunk_digest
        self._present = present
        self._on_round = on_round
        self._on_state = on_state
        self._on_trouble = on_trouble
        self._on_introduced = on_introduced
        self._strategy = make_strategy(plan)
        self._messenger = Messenger(transport, plan, poll_seconds)
        self._members: dict[str, tuple[SiteInfo, Member]] = {}
        self._introduced_in: dict[str, int] = {}

    def run(self, state: FederationState) -> FederationResult:
        """Train, select on validation images, and test the selected tail.

        Parameters
        ----------
        state : FederationState
            Where to start: from the beginning, or after some rounds.

        Returns
        -------
        FederationResult

        Raises
        ------
        RunError
            If fewer than `federation.min_sites` hospitals take part, or give a usable reply in a round or to the test,
            even after `federation.round_attempts`.
        """
        self._messenger.federation = state.federation
        self._introduce_first(len(state.rounds) + 1)
        self._strategy.remember(state.optimizer)
        for report in state.rounds:
            self._on_round(report)  # whoever keeps a record of the rounds gets it whole
        total = self._plan.federation.rounds
        while len(state.rounds) < total:
            state = self._next(state)
            self._on_state(state)
            self._on_round(state.rounds[-1])
        last = EvaluationCounts.pool(self._score(state.tail, total, "validation").values())
        selection = ModelSelection(self._plan.federation.select, state.kept)
        selection.offer(state.tail, last, 1.0)
        assert selection.kept is not None
        selected = round(selection.kept.progress * total)
        return FederationResult(
            tail=selection.kept.tail,
            selected_round=selected,
            rounds=state.rounds,
            validation=(*(report.score for report in state.rounds), last),
            test=self._score(selection.kept.tail, selected, "test"),
        )

    def _next(self, state: FederationState) -> FederationState:
        """Return the state one round later."""
        report, updates = self._round(state)
        selection = ModelSelection(self._plan.federation.select, state.kept)
        if report.round > 1:
            selection.offer(state.tail, report.score, (report.round - 1) / self._plan.federation.rounds)
        return FederationState(
            tail=self._strategy.next_tail(report.round, state.tail, updates),
            kept=selection.kept,
            optimizer=self._strategy.memory(),
            rounds=(*state.rounds, report),
            quarantine=update_quarantine(
                report.round, state.quarantine, report.sites, report.failures, self._plan.federation
            ),
            federation=state.federation,
        )

    def _round(self, state: FederationState) -> tuple[RoundReport, dict[str, Update]]:
        started = time.monotonic()
        number = len(state.rounds) + 1
        recent = [site.change_norm for report in state.rounds[-NORM_ROUNDS:] for site in report.sites.values()]

        def ask(members: Mapping[str, Member]) -> tuple[dict[str, Update], dict[str, str]]:
            return self._messenger.ask(
                members, MessageType.TRAIN, {messages.ROUND: number}, state.tail, self._read_update
            )

        def too_large(updates: Mapping[str, Update]) -> dict[str, str]:
            norms = {name: update.report.change_norm for name, update in updates.items()}
            return outliers(norms, recent, self._plan.federation.largest_norm)

        updates, failures = self._until_enough(f"round {number}", state.quarantine, number, ask, too_large)
        sites = {name: update.report for name, update in updates.items()}
        score = EvaluationCounts.pool(site.score for site in sites.values() if site.score is not None)
        seconds = time.monotonic() - started
        return RoundReport(number, seconds, sites, failures, score, *self._messenger.discarded()), updates

    def _score(self, tail: NDArray[np.float32], after: int, split: str) -> dict[str, EvaluationCounts]:
        """Return by site the scores of the tail that stood after a round, where they are shared."""

        def read(name: str, reply: Message) -> EvaluationCounts | None:
            info = self._members[name][0]
            images = info.test_images if split == "test" else info.validation_images
            return read_score(reply, images, self._classes, self._plan.exchange.score_bins)

        def ask(members: Mapping[str, Member]) -> tuple[dict[str, EvaluationCounts | None], dict[str, str]]:
            # The round too: a hospital may have layers of its own that belong to this tail.
            asked: dict[str, int | str] = {messages.SPLIT: split, messages.ROUND: after}
            return self._messenger.ask(members, MessageType.EVALUATE, asked, tail, read)

        what = f"scoring the model on {split} images"
        # Nobody's patients are left out for faults in earlier rounds.
        scores, failures = self._until_enough(what, {}, self._plan.federation.rounds + 1, ask)
        if failures:
            self._on_trouble(f"{what}: {in_words(failures)}")
        return {name: score for name, score in scores.items() if score is not None}

    def _until_enough(
        self,
        what: str,
        quarantine: Mapping[str, QuarantineStatus],
        number: int,
        ask: Callable[[Mapping[str, Member]], tuple[dict[str, Answer], dict[str, str]]],
        refuse: Callable[[Mapping[str, Answer]], dict[str, str]] = lambda answers: {},
    ) -> tuple[dict[str, Answer], dict[str, str]]:
        """Ask until enough hospitals gave a usable reply, at most `federation.round_attempts` times.

        Whoever has answered is not asked again. `refuse` says which of all answers cannot be used, and why. Returns the
        usable answers, and why there is none of the others, both by name, sorted.
        """
        federation = self._plan.federation
        answers: dict[str, Answer] = {}
        for attempt in range(1, federation.round_attempts + 1):
            members, missing = self._gather(quarantine, number, answers)
            new, failures = ask(members) if members else ({}, {})
            answers |= new
            failures |= refuse(answers) | missing
            answers = {name: answer for name, answer in sorted(answers.items()) if name not in failures}
            if len(answers) >= federation.min_sites:
                break
            told = (
                f"{what}: {len(answers)} of {len(self._members)} sites gave a usable reply, "
                f"federation.min_sites is {federation.min_sites} ({in_words(failures)})"
            )
            if attempt == federation.round_attempts:
                raise RunError(f"{told}; the rounds before are safe, go on once the hospitals are there")
            self._wait_to_ask_again(told)
        return answers, dict(sorted(failures.items()))

    def _wait_to_ask_again(self, told: str) -> None:
        seconds = self._plan.federation.retry_seconds
        self._on_trouble(f"{told}; asked again in {seconds:.0f} s")
        time.sleep(seconds)

    def _gather(
        self, quarantine: Mapping[str, QuarantineStatus], number: int, answered: Container[str]
    ) -> tuple[dict[str, Member], dict[str, str]]:
        """Return whom to ask, and why others are not: as soon as enough are there, or `wait_seconds` are over."""
        federation = self._plan.federation
        deadline = time.monotonic() + federation.wait_seconds
        while True:
            present = {member.called for member in self._welcome(quarantine, number)}
            offline = {name: OFFLINE for name, (_, member) in self._members.items() if member.called not in present}
            resting = {
                name: f"in quarantine until round {quarantine[name].back_in}"
                for name in self._members.keys() - offline.keys()
                if name in quarantine and quarantine[name].back_in > number
            }
            if len(self._members) - len(offline) - len(resting) < federation.min_sites:
                resting = {}  # a hospital on probation is better than a run that cannot go on
            missing = {name: why for name, why in (offline | resting).items() if name not in answered}
            if len(self._members) - len(missing) >= federation.min_sites or time.monotonic() > deadline:
                unasked = [name for name in self._members if name not in missing and name not in answered]
                return {name: self._members[name][1] for name in unasked}, missing
            self._messenger.sleep()

    def _welcome(self, quarantine: Mapping[str, QuarantineStatus], number: int) -> Sequence[Member]:
        """Introduce who is new, and who comes out of quarantine and may have changed; return who is present."""
        present = self._present()
        names = {member.called: name for name, (_, member) in self._members.items()}
        back = {name for name, one in quarantine.items() if one.back_in == number}
        pause = self._plan.federation.quarantine_rounds
        strangers = []
        for member in present:
            asked_in = self._introduced_in.get(member.called)
            if member.called in names:
                due = names[member.called] in back and asked_in != number
            else:
                due = asked_in is None or number >= asked_in + pause
            if due:
                strangers.append(member)
        if strangers:
            self._introduce(strangers, number)
        return present

    def _introduce_first(self, number: int) -> None:
        """Introduce hospitals until enough take part; a rule that refuses the plan is not asked again."""
        federation = self._plan.federation
        left_out: dict[str, str] = {}  # also those that are gone meanwhile
        for attempt in range(1, federation.round_attempts + 1):
            introduced = {member.called for _, member in self._members.values()}
            strangers = [member for member in self._present() if member.called not in introduced]
            left_out = {called: why for called, why in left_out.items() if called not in introduced}
            left_out |= self._introduce(strangers, number) if strangers else {}
            if len(self._members) >= federation.min_sites:
                return
            reasons = f" ({in_words(left_out)})" if left_out else ""
            told = (
                f"{len(self._members)} of {len(self._members) + len(left_out)} hospitals take part, "
                f"federation.min_sites is {federation.min_sites}{reasons}"
            )
            if attempt == federation.round_attempts or all(refusing_rule(reason) for reason in left_out.values()):
                raise RunError(told)
            self._wait_to_ask_again(told)

    def _introduce(self, members: Sequence[Member], number: int) -> dict[str, str]:
        """Ask members who they are, and admit those that can take part; return by name why others cannot."""
        by_name = {member.called: member for member in members}
        infos, left_out = self._messenger.ask(
            by_name, MessageType.QUERY, {}, None, lambda called, reply: read_info(reply)
        )
        self._introduced_in |= dict.fromkeys(by_name, number)
        admitted = []
        for called, info in infos.items():
            try:
                self._admit(info, by_name[called])
                admitted.append(info)
            except BadReply as error:
                left_out[called] = str(error)
        self._members = dict(sorted(self._members.items()))
        self._on_introduced(sorted(admitted, key=lambda info: info.name), left_out)
        return left_out

    def _admit(self, info: SiteInfo, member: Member) -> None:
        if member.name and info.name != member.name:
            raise BadReply(f"goes by the name {info.name}, was admitted as {member.name}")
        if info.trunk_digest != self._trunk_digest:
            raise BadReply(
                f"holds another frozen trunk ({info.trunk_digest[:12]}, rarefed {info.version}) than "
                f"the server ({self._trunk_digest[:12]}): use the same weights file on both sides"
            )
        namesake = self._members.get(info.name)
        if namesake is not None and namesake[1].called != member.called:
            raise BadReply(f"another hospital goes by the name {info.name} already")
        self._members[info.name] = (info, member)

    def _read_update(self, name: str, reply: Message) -> Update:
        info = self._members[name][0]
        return read_update(reply, info, self._layout, self._classes, self._plan.exchange.score_bins)


def wait_for_nodes(grid: Grid, count: int, seconds: float) -> list[int]:
    """Return the ids of at least `count` connected nodes, sorted.

    Raises
    ------
    RunError
        If fewer connect in time.
    """
    deadline = time.monotonic() + seconds
    while len(nodes := sorted(grid.get_node_ids())) < count:
        if time.monotonic() > deadline:
            raise RunError(f"{len(nodes)} of {count} nodes connected within {seconds:.0f} s")
        time.sleep(0.2)
    return nodes
