"""Messages to hospitals and their replies: in time, once, and to what was asked."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
from flwr.app import ConfigRecord, Message, RecordDict
from numpy.typing import NDArray

from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.receipt import receipt_of
from server.rounds.reply_checks import BadReply, check_receipt

Answer = TypeVar("Answer")

NO_REPLY = "no reply in time"

# As multiples of `federation.round_seconds`: so long Flower keeps a message and its reply, for late ones to be counted.
_LIFE = 2.0


class Transport(Protocol):
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
        """How to speak of it before it said its name; no two members of a federation are called alike."""
        where = "".join(f", {key} {value}" for key, value in self.config.items())
        return self.name or f"node {self.node_id}{where}"


class DiscardedReplies(NamedTuple):
    """Replies that came and were not used, by hospital: after their time, or again."""

    late: dict[str, int]
    repeated: dict[str, int]


class Messenger:
    """Asks hospitals, and hands over what can be used of their replies.

    Parameters
    ----------
    transport : Transport
        Flower's Grid, or what stands before it.
    plan : TrainingPlan
        Travels with every message; says how long to wait.
    poll_seconds : float
        Between two looks for replies.

    Attributes
    ----------
    federation : str
        `FederationState.federation`; goes with every message.
    """

    def __init__(self, transport: Transport, plan: TrainingPlan, poll_seconds: float) -> None:
        self._transport = transport
        self._plan = plan
        self._poll_seconds = poll_seconds
        self.federation = ""
        self._overdue: dict[str, str] = {}
        self._late: Counter[str] = Counter()
        self._repeated: Counter[str] = Counter()

    def ask(
        self,
        members: Mapping[str, Member],
        kind: str,
        config: Mapping[str, int | str],
        tail: NDArray[np.float32] | None,
        read: Callable[[str, Message], Answer],
    ) -> tuple[dict[str, Answer], dict[str, str]]:
        """Send one message to each member, and wait until all have answered or the plan's time is up.

        Parameters
        ----------
        members : mapping of str to Member
            By the name that the answers shall have.
        kind : str
            Flower's type of the message.
        config : mapping of str to int or str
            What is asked.
        tail : ndarray of float32 or None
            The global tail to go with it.
        read : callable
            Takes a name and its reply; raises `BadReply` if it cannot be used.

        Returns
        -------
        answers, failures : dict
            By name, in the order of `members`: what was read, and why there is nothing.
        """
        # One for all: the tail is large to serialise and to hash.
        content = messages.request_content(self._plan, {messages.FEDERATION: self.federation, **config}, tail)
        words = dict(content.config_records[messages.CONFIG])
        receipt = receipt_of(words)
        life = _LIFE * self._plan.federation.round_seconds
        requests = []
        for member in members.values():
            own = RecordDict({**content, messages.CONFIG: ConfigRecord({**words, **member.config})})
            requests.append(Message(own, message_type=kind, dst_node_id=member.node_id, ttl=life))
        names = dict(zip(self._transport.push_messages(requests), members, strict=True))
        replies = self._await(names)
        answers: dict[str, Answer] = {}
        failures: dict[str, str] = {}
        for name in members:
            try:
                if name not in replies:
                    raise BadReply(NO_REPLY)
                check_receipt(replies[name], receipt)
                answers[name] = read(name, replies[name])
            except BadReply as error:
                failures[name] = str(error)
        return answers, failures

    def discarded(self) -> DiscardedReplies:
        """Return what was discarded since the last call."""
        counts = DiscardedReplies(dict(sorted(self._late.items())), dict(sorted(self._repeated.items())))
        self._late.clear()
        self._repeated.clear()
        return counts

    def sleep(self) -> None:
        """Wait as between two looks for replies."""
        time.sleep(self._poll_seconds)

    def _await(self, names: Mapping[str, str]) -> dict[str, Message]:
        """Return by name the replies to messages with the given ids that come in time."""
        replies: dict[str, Message] = {}
        deadline = time.monotonic() + self._plan.federation.round_seconds
        pending = dict(names)
        while pending:
            for reply in self._transport.pull_messages([*pending, *self._overdue]):
                message_id = reply.metadata.reply_to_message_id
                if message_id in self._overdue:
                    name = self._overdue.pop(message_id)
                    if not reply.has_error():
                        self._late[name] += 1
                elif names[message_id] in replies:
                    self._repeated[names[message_id]] += 1
                else:
                    replies[names[message_id]] = reply
            pending = {message_id: name for message_id, name in names.items() if name not in replies}
            if time.monotonic() > deadline:
                break
            if pending:
                time.sleep(self._poll_seconds)
        self._overdue |= pending
        return replies


def in_words(failures: Mapping[str, str]) -> str:
    """Return why hospitals failed as one line: a sequence of names and reasons."""
    return "; ".join(f"{name}: {reason}" for name, reason in failures.items())
