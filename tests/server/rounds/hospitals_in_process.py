"""Hospitals and a transport in this process, for federations that need neither Flower's Grid nor Ray."""

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Error, Message, MetricRecord, RecordDict

from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.receipt import receipt_of
from server.rounds.courier import Member
from server.rounds.federation import Federation
from server.rounds.observer import FederationObserver, RequireAllHospitals
from server.rounds.reply_checks import SiteInfo
from server.rounds.state import FederationResult, FederationState, RoundReport

LAYOUT = TailLayout(("weight",), ((3,),))
TRUNK = "a" * 64
SCORE: dict[str, Any] = {
    messages.SCORE_LOSS: 0.5,
    messages.SCORE_CONFUSION: [2, 0, 1, 1],
    messages.SCORE_HISTOGRAM: [1, 1, 1, 1, 1, 1, 1, 1],
    messages.SCORE_AREAS: [0.5],
}


class InProcessTransport:
    """Answers every message at once, as the hospital on its node would."""

    def __init__(self, *hospitals: "Hospital") -> None:
        self._hospitals = {hospital.node: hospital for hospital in hospitals}
        self._replies: dict[str, Message] = {}

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        ids = []
        for number, message in enumerate(messages):
            message.metadata.__dict__["_message_id"] = f"{len(self._replies)}-{number}"
            ids.append(message.metadata.message_id)
            self._replies[ids[-1]] = self._hospitals[message.metadata.dst_node_id].answer(message)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        return [self._replies[each] for each in message_ids]


class Hospital:
    """One that trains by adding its node's number."""

    def __init__(
        self,
        node: int,
        name: str,
        *,
        trunk: str = TRUNK,
        shares: bool = True,
        says: str | None = None,
        fails_at_first: int = 0,
    ) -> None:
        self.node, self._name, self._trunk, self._shares, self._says = node, name, trunk, shares, says
        self._failures_left = fails_at_first

    def answer(self, message: Message) -> Message:
        if self._failures_left:
            self._failures_left -= 1
            return Message(Error(4002, "failed: crash"), reply_to=message)
        if self._says:
            return Message(Error(4001, self._says), reply_to=message)
        score = SCORE if self._shares else {}
        receipt = receipt_of(message.content[messages.CONFIG])  # type: ignore[arg-type]
        kind = message.metadata.message_type
        if kind == "query":
            receipt |= {messages.NAME: self._name, messages.VERSION: "1", messages.TRUNK_DIGEST: self._trunk}
            counts = {messages.TRAIN_IMAGES: 10}
            counts |= {messages.VALIDATION_IMAGES: 4, messages.TEST_IMAGES: 4} if self._shares else {}
            content = {messages.METRICS: MetricRecord(counts)}
        elif kind == "train":
            change = np.full(3, self.node, np.float32)
            metrics = {messages.IMAGES: 10, **({messages.TRAIN_LOSS: 0.7} if self._shares else {}), **score}
            content = {messages.ARRAYS: messages.tail_record(change), messages.METRICS: MetricRecord(metrics)}
        else:
            content = {messages.METRICS: MetricRecord(score)}
        return Message(RecordDict({**content, messages.CONFIG: ConfigRecord(receipt)}), reply_to=message)


class FaultyHospital(Hospital):
    """One whose training replies in the given rounds, or at first, are errors, or larger by a factor."""

    def __init__(
        self,
        node: int,
        name: str,
        bad: set[int] = frozenset(),  # type: ignore[assignment]
        factor: float = 1.0,
        bad_attempts: int = 0,
    ) -> None:
        super().__init__(node, name)
        self._bad, self._factor, self._bad_attempts = bad, factor, bad_attempts
        self.asked: list[int] = []
        self.introductions = 0

    def answer(self, message: Message) -> Message:
        reply = super().answer(message)
        if message.metadata.message_type != "train":
            self.introductions += message.metadata.message_type == "query"
            return reply
        number = messages.read_int(message.content, messages.ROUND)
        self.asked.append(number)
        if number in self._bad or len(self.asked) <= self._bad_attempts:
            return Message(Error(4002, "failed: training"), reply_to=message)
        change = messages.read_tail(reply.content) * np.float32(self._factor)
        reply.content[messages.ARRAYS] = messages.tail_record(change)
        return reply


class UnsteadyHospital(Hospital):
    """One that scores the tail after 0, 1, ... rounds with the given losses, and fails in the rounds `absent`."""

    def __init__(self, node: int, name: str, losses: Sequence[float], absent: Set[int] = frozenset()) -> None:
        super().__init__(node, name)
        self._losses, self._absent = losses, absent

    def answer(self, message: Message) -> Message:
        reply = super().answer(message)
        if message.metadata.message_type == "query":
            return reply
        number = messages.read_int(message.content, messages.ROUND)
        before = number - (message.metadata.message_type == "train")
        if before < number and number in self._absent:
            return Message(Error(4002, "failed: training"), reply_to=message)
        reply.content.metric_records[messages.METRICS][messages.SCORE_LOSS] = self._losses[before]
        return reply


class ReplayingHospital(Hospital):
    """One that answers every training as it answered the first."""

    def __init__(self, node: int, name: str) -> None:
        super().__init__(node, name)
        self._first: RecordDict | None = None

    def answer(self, message: Message) -> Message:
        reply = super().answer(message)
        if message.metadata.message_type != "train":
            return reply
        self._first = self._first or reply.content
        return Message(self._first, reply_to=message)


class RecordingObserver(FederationObserver):
    """Keeps every report."""

    def __init__(self) -> None:
        self.taking_part: list[list[str]] = []
        self.left_out: dict[str, str] = {}
        self.states: list[FederationState] = []
        self.rounds: list[RoundReport] = []
        self.troubles: list[str] = []
        self.waits: list[str | None] = []

    def hospitals_introduced(self, taking_part: Sequence[SiteInfo], left_out: Mapping[str, str]) -> None:
        self.taking_part.append([info.name for info in taking_part])
        self.left_out |= left_out

    def state_reached(self, state: FederationState) -> None:
        self.states.append(state)

    def round_finished(self, report: RoundReport) -> None:
        self.rounds.append(report)

    def waiting(self, line: str | None) -> None:
        self.waits.append(line)

    def trouble(self, line: str) -> None:
        self.troubles.append(line)


class Arrivals(RecordingObserver):
    """Which hospitals are present changes with every round that is over; both observer and `present`."""

    def __init__(self, *hospitals: Hospital, online: dict[int, set[int]]) -> None:
        super().__init__()
        self._hospitals, self._online, self._round = hospitals, online, 0

    def __call__(self) -> list[Member]:
        online = self._online.get(self._round, {each.node for each in self._hospitals})
        return [Member(each.node) for each in self._hospitals if each.node in online]

    def round_finished(self, report: RoundReport) -> None:
        super().round_finished(report)
        self._round = report.round


class SlowTransport(InProcessTransport):
    """Holds the first reply of a node to a training back until so many further messages were sent, then sends it."""

    def __init__(self, *hospitals: Hospital, slow: int, until: int, twice: int = 0) -> None:
        super().__init__(*hospitals)
        self._slow, self._until, self._twice = slow, until, twice
        self._sent = 0
        self._held: str | None = None

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        listed = list(messages)
        ids = super().push_messages(listed)
        self._sent += 1
        for message, each in zip(listed, ids, strict=True):
            if self._held is None and message.metadata.message_type == "train":
                self._held = each if message.metadata.dst_node_id == self._slow else None
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        asked = [each for each in message_ids if each != self._held or self._sent > self._until]
        replies = super().pull_messages(asked)
        again = [reply for reply in replies if reply.metadata.src_node_id == self._twice and not reply.has_error()]
        return replies + [reply for reply in again if messages.ARRAYS in reply.content]


def federate(
    *hospitals: Hospital,
    admitted: dict[int, str] | None = None,
    min_sites: int = 1,
    state: FederationState | None = None,
    changes: dict[str, Any] | None = None,
    transport: InProcessTransport | None = None,
    present: Callable[[], Sequence[Member]] | None = None,
    observer: FederationObserver | None = None,
    locate: Callable[[Member], Member | None] = lambda member: member,
) -> FederationResult:
    plan = TrainingPlan.from_flat(
        {
            "federation.rounds": 2,
            "federation.min_sites": min_sites,
            "federation.retry_seconds": 0,
            "exchange.score_bins": 2,
            **(changes or {}),
        }
    )
    members = [Member(hospital.node, name=(admitted or {}).get(hospital.node, "")) for hospital in hospitals]
    federation = Federation(
        transport or InProcessTransport(*hospitals),
        plan,
        classes=2,
        layout=LAYOUT,
        trunk_digest=TRUNK,
        present=present or (lambda: members),
        observer=observer or RequireAllHospitals(),
        poll_seconds=0,
        locate=locate,
    )
    return federation.run(state or FederationState(np.zeros(3, np.float32), "f1"))
