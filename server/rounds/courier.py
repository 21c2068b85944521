"""Messages on their way to hospitals: which went where, and which of what comes back is awaited."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
from flwr.app import ConfigRecord, Message, RecordDict
from numpy.typing import NDArray

from common.plan.training_plan import TrainingPlan
from common.protocol import messages

# In multiples of `federation.round_seconds`: how long Flower keeps a message and its reply, so that late replies count.
_LIFE = 2.0


class Transport(Protocol):
    """The part of Flower's Grid that a federation needs."""

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages; return their ids in the same order."""

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies to the given messages that have arrived since the last call."""


@dataclass(frozen=True)
class Member:
    """The address of a hospital.

    Attributes
    ----------
    node_id : int
        Flower's number for its node.
    config : dict
        Values that only its messages carry; the simulation names the site here.
    name : str
        The name under which it was admitted, and the only one it may give itself; empty: any.
    images : int or None
        How many images it has, as the coordinator confirmed; None: nobody did.
    """

    node_id: int
    config: dict[str, int] = field(default_factory=dict)
    name: str = ""
    images: int | None = None

    @property
    def called(self) -> str:
        """What to call it before it has introduced itself; unique in a federation."""
        where = "".join(f", {key} {value}" for key, value in self.config.items())
        return self.name or f"node {self.node_id}{where}"


@dataclass(frozen=True)
class Request:
    """What hospitals are asked.

    Attributes
    ----------
    kind : str
        Flower's type of the message.
    config : mapping of str to int or str
        The values that say what is asked, such as the round's number.
    tail : ndarray of float32, shape (layout.size,), or None
        The global tail that the message carries.
    """

    kind: str
    config: Mapping[str, int | str] = field(default_factory=dict)
    tail: NDArray[np.float32] | None = None


class DiscardedReplies(NamedTuple):
    """How many replies of each hospital came too late, and how many were not the first to their message."""

    late: dict[str, int]
    repeated: dict[str, int]


@dataclass(frozen=True)
class Question:
    """A request as it travels: the kind of the message, its content, and the values in it."""

    kind: str
    content: RecordDict
    words: dict[str, Any]


class Courier:
    """Sends questions to hospitals, and brings their replies; it counts those that come too late or again.

    Parameters
    ----------
    transport : Transport
        Flower's Grid, or a stand-in.
    plan : TrainingPlan
        Travels with every message, and says how long to wait for replies.
    locate : callable
        Returns a member as it can be reached now; None once it was shut out.

    Attributes
    ----------
    federation : str
        `FederationState.federation`; travels with every message.
    """

    def __init__(self, transport: Transport, plan: TrainingPlan, locate: Callable[[Member], Member | None]) -> None:
        self._transport = transport
        self._plan = plan
        self._locate = locate
        self.federation = ""
        self._asked: dict[str, Member] = {}
        self._overdue: dict[str, str] = {}
        self._late: Counter[str] = Counter()
        self._repeated: Counter[str] = Counter()

    def question(self, request: Request) -> Question:
        """Return a request as it travels, for any number of members."""
        # Built once for all members: the tail is large to serialise and to hash.
        content = messages.request_content(
            self._plan, {messages.FEDERATION: self.federation, **request.config}, request.tail
        )
        return Question(request.kind, content, dict(content.config_records[messages.CONFIG]))

    def send(self, question: Question, members: Mapping[str, Member]) -> dict[str, str]:
        """Send a question to members; return their names by the ids of the messages."""
        life = _LIFE * self._plan.federation.round_seconds
        requests = []
        for member in members.values():
            own = RecordDict({**question.content, messages.CONFIG: ConfigRecord({**question.words, **member.config})})
            requests.append(Message(own, message_type=question.kind, dst_node_id=member.node_id, ttl=life))
        self._asked |= members
        return dict(zip(self._transport.push_messages(requests), members, strict=True))

    def look(self, awaited: Iterable[str]) -> Iterator[tuple[str, Message]]:
        """Yield the awaited replies that have come, by their messages' ids, and count the overdue ones."""
        for reply in self._transport.pull_messages([*awaited, *self._overdue]):
            message_id = reply.metadata.reply_to_message_id
            if message_id not in self._overdue:
                yield message_id, reply
                continue
            name = self._overdue.pop(message_id)
            if not reply.has_error():
                self._late[name] += 1

    def give_up(self, names: Mapping[str, str]) -> None:
        """Wait no more for the replies to some messages: names by the messages' ids."""
        self._overdue |= names

    def count_repeated(self, name: str) -> None:
        """Count a reply that was not the first to its message."""
        self._repeated[name] += 1

    def discarded(self) -> DiscardedReplies:
        """Return what was discarded since the last call."""
        counts = DiscardedReplies(dict(sorted(self._late.items())), dict(sorted(self._repeated.items())))
        self._late.clear()
        self._repeated.clear()
        return counts

    def moved_and_left(self, names: Iterable[str]) -> tuple[dict[str, Member], set[str]]:
        """Return which of the hospitals that were asked have another node now, and which were shut out."""
        places = {name: self._locate(self._asked[name]) for name in sorted(names)}
        moved = {
            name: place
            for name, place in places.items()
            if place is not None and place.node_id != self._asked[name].node_id
        }
        return moved, {name for name, place in places.items() if place is None}
