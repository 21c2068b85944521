"""One federation from first to last round, over Flower's Grid."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import numpy as np
from flwr.app import Message, MessageType, RecordDict
from flwr.serverapp import Grid
from numpy.typing import NDArray

from common import exchange
from common.errors import RunError
from common.exchange import TailLayout
from common.plan import TrainingPlan
from common.scoring import Score
from common.selection import Selection
from server.replies import BadReply, SiteInfo, SiteReport, Update, read_info, read_score, read_update
from server.strategies import make_strategy

Answer = TypeVar("Answer")


class Courier(Protocol):
    """The part of Flower's Grid that a federation needs."""

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages; return their ids in the same order."""

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies to the given messages that have arrived since the last call."""


@dataclass(frozen=True)
class Member:
    """Where a hospital is reached.

    Attributes
    ----------
    node_id : int
        Flower's node.
    config : dict
        What else its messages carry; the simulation says here which of its sites is meant.
    name : str
        Under which it was admitted: it may go by no other. Empty: as it says itself.
    """

    node_id: int
    config: dict[str, int] = field(default_factory=dict)
    name: str = ""

    @property
    def called(self) -> str:
        """How to speak of it before it said its name."""
        return self.name or f"node {self.node_id}"


@dataclass(frozen=True)
class RoundReport:
    """What came of one round.

    Attributes
    ----------
    round : int
        From 1.
    seconds : float
        From the first message to the aggregated tail.
    sites : dict of str to SiteReport
        By site: the replies that were used. The changes themselves are not kept, since they are as large as the model.
    failures : dict of str to str
        By site: why a reply was left out.
    score : Score or None
        Of the tail that the round *started* from, over all answering hospitals' validation images.
    """

    round: int
    seconds: float
    sites: dict[str, SiteReport]
    failures: dict[str, str]
    score: Score | None

    @property
    def train_loss(self) -> float | None:
        """Mean over the images of all hospitals that took part and share it; None if none does."""
        told = [(site.train_loss, site.images) for site in self.sites.values() if site.train_loss is not None]
        return sum(loss * images for loss, images in told) / sum(images for _, images in told) if told else None


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
    validation : tuple of Score or None
        Of the global tail after 0, 1, ... rounds, over all hospitals.
    test : dict of str to Score
        Of the selected tail, by site.
    """

    tail: NDArray[np.float32]
    selected_round: int
    rounds: tuple[RoundReport, ...]
    validation: tuple[Score | None, ...]
    test: dict[str, Score]


def _insist_on_all(infos: Sequence[SiteInfo], left_out: Mapping[str, str]) -> None:
    if left_out:
        raise RunError(f"hospitals did not introduce themselves: {_say(left_out)}")


class Federation:
    """Runs the rounds of a plan over the given hospitals.

    Replies are always handled in the order of the hospitals' names, whatever order they arrive in: sums of floats
    depend on their order, and the same seed shall give the same weights.

    Parameters
    ----------
    courier : Courier
        Flower's Grid, or what stands before it.
    plan : TrainingPlan
        What to do.
    classes : int
        Number of classes.
    layout : TailLayout
        How the tail lies in its vector.
    trunk_digest : str
        The trunk that every hospital must have.
    on_round : callable
        Called with each `RoundReport` as soon as the round is over.
    on_introduced : callable
        Called once with the hospitals that take part, and by name why others do not. By default all must.
    poll_seconds : float
        Between two looks for replies.
    """

    def __init__(
        self,
        courier: Courier,
        plan: TrainingPlan,
        *,
        classes: int,
        layout: TailLayout,
        trunk_digest: str,
        on_round: Callable[[RoundReport], None],
        on_introduced: Callable[[Sequence[SiteInfo], Mapping[str, str]], None] = _insist_on_all,
        poll_seconds: float = 0.1,
    ) -> None:
        self._courier = courier
        self._plan = plan
        self._classes = classes
        self._layout = layout
        self._trunk_digest = trunk_digest
        self._on_round = on_round
        self._on_introduced = on_introduced
        self._poll_seconds = poll_seconds
        self._strategy = make_strategy(plan)
        self._members: list[tuple[SiteInfo, Member]] = []

    def run(self, members: Sequence[Member], initial_tail: NDArray[np.float32]) -> FederationResult:
        """Train, select on validation images, and test the selected tail.

        Parameters
        ----------
        members : sequence of Member
            The hospitals.
        initial_tail : ndarray of float32, shape (layout.size,)
            Where the first round starts.

        Returns
        -------
        FederationResult

        Raises
        ------
        RunError
            If fewer than `federation.min_sites` hospitals gave a usable reply in a round, or one has another trunk.
        """
        self._members = self._introduce(members)
        selection = Selection(self._plan.federation.select)
        rounds: list[RoundReport] = []
        validation: list[Score | None] = []
        total = self._plan.federation.rounds
        tail = initial_tail
        for number in range(1, total + 1):
            report, updates = self._round(number, tail)
            rounds.append(report)
            validation.append(report.score)
            if number > 1:
                selection.offer(tail, report.score, (number - 1) / total)
            tail = self._strategy.next_tail(number, tail, updates)
            self._on_round(report)
        last = Score.pool(self._score(tail, "validation").values())
        validation.append(last)
        selection.offer(tail, last, 1.0)
        assert selection.tail is not None
        test = self._score(selection.tail, "test")
        return FederationResult(
            selection.tail, round(selection.progress * total), tuple(rounds), tuple(validation), test
        )

    def _introduce(self, members: Sequence[Member]) -> list[tuple[SiteInfo, Member]]:
        replies = self._ask(members, MessageType.QUERY, {})
        introduced: dict[str, tuple[SiteInfo, Member]] = {}
        left_out = {}
        for member, reply in zip(members, replies, strict=True):
            try:
                info = self._admitted(member, read_info(_arrived(reply)))
                if info.name in introduced:
                    raise BadReply(f"another hospital goes by the name {info.name} already")
                introduced[info.name] = (info, member)
            except BadReply as error:
                left_out[member.called] = str(error)
        by_name = [introduced[name] for name in sorted(introduced)]
        self._on_introduced([info for info, _ in by_name], left_out)
        if len(by_name) < self._plan.federation.min_sites:
            reasons = f" ({_say(left_out)})" if left_out else ""
            raise RunError(
                f"{len(by_name)} of {len(members)} hospitals take part, federation.min_sites is "
                f"{self._plan.federation.min_sites}{reasons}"
            )
        return by_name

    def _admitted(self, member: Member, info: SiteInfo) -> SiteInfo:
        if member.name and info.name != member.name:
            raise BadReply(f"goes by the name {info.name}, was admitted as {member.name}")
        if info.trunk_digest != self._trunk_digest:
            raise BadReply(
                f"holds another frozen trunk ({info.trunk_digest[:12]}, rarefed {info.version}) than "
                f"the server ({self._trunk_digest[:12]}): use the same weights file on both sides"
            )
        return info

    def _round(self, number: int, tail: NDArray[np.float32]) -> tuple[RoundReport, dict[str, Update]]:
        started = time.monotonic()
        bins = self._plan.exchange.score_bins
        updates, failures = self._collect(
            MessageType.TRAIN,
            {exchange.ROUND: number},
            tail,
            lambda reply, info: read_update(reply, info, self._layout, self._classes, bins),
        )
        if len(updates) < self._plan.federation.min_sites:
            raise RunError(
                f"round {number}: {len(updates)} of {len(self._members)} sites gave a usable reply, "
                f"federation.min_sites is {self._plan.federation.min_sites} ({_say(failures)})"
            )
        sites = {name: update.report for name, update in updates.items()}
        score = Score.pool(site.score for site in sites.values() if site.score is not None)
        return RoundReport(number, time.monotonic() - started, sites, failures, score), updates

    def _score(self, tail: NDArray[np.float32], split: str) -> dict[str, Score]:
        bins = self._plan.exchange.score_bins
        scores, failures = self._collect(
            MessageType.EVALUATE,
            {exchange.SPLIT: split},
            tail,
            lambda reply, info: read_score(
                reply, info.test_images if split == "test" else info.validation_images, self._classes, bins
            ),
        )
        if not scores:
            raise RunError(f"no site scored the model on its {split} images ({_say(failures)})")
        return {name: score for name, score in scores.items() if score is not None}

    def _collect(
        self,
        kind: str,
        config: dict[str, int | str],
        tail: NDArray[np.float32],
        read: Callable[[Message, SiteInfo], Answer],
    ) -> tuple[dict[str, Answer], dict[str, str]]:
        """Ask all hospitals and split what comes back into usable answers and reasons, both by site name."""
        replies = self._ask([member for _, member in self._members], kind, config, tail)
        answers: dict[str, Answer] = {}
        failures: dict[str, str] = {}
        for (info, _), reply in zip(self._members, replies, strict=True):
            try:
                answers[info.name] = read(_arrived(reply), info)
            except BadReply as error:
                failures[info.name] = str(error)
        return answers, failures

    def _ask(
        self,
        members: Sequence[Member],
        kind: str,
        config: dict[str, int | str],
        tail: NDArray[np.float32] | None = None,
    ) -> list[Message | None]:
        """Send one message to each member; return the replies in the members' order, None where none came in time."""
        messages = []
        for member in members:
            content = RecordDict({exchange.CONFIG: exchange.config_record(self._plan, {**config, **member.config})})
            if tail is not None:
                content[exchange.ARRAYS] = exchange.tail_record(tail)
            messages.append(Message(content, message_type=kind, dst_node_id=member.node_id))
        message_ids = list(self._courier.push_messages(messages))
        return self._await(message_ids)

    def _await(self, message_ids: Sequence[str]) -> list[Message | None]:
        replies: dict[str, Message] = {}
        deadline = time.monotonic() + self._plan.federation.round_seconds
        pending = set(message_ids)
        while pending and time.monotonic() < deadline:
            for reply in self._courier.pull_messages(list(pending)):
                replies[reply.metadata.reply_to_message_id] = reply
            pending -= replies.keys()
            if pending:
                time.sleep(self._poll_seconds)
        return [replies.get(message_id) for message_id in message_ids]


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


def _say(failures: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in failures.items())


def _arrived(reply: Message | None) -> Message:
    if reply is None:
        raise BadReply("no reply in time")
    return reply
