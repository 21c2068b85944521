"""Messages to hospitals and their replies: in time, once, and to what was asked."""

import time
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from flwr.app import ConfigRecord, Error, Message, RecordDict
from numpy.typing import NDArray

from common.errors import RunError
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.receipt import receipt_of
from server.rounds.observer import FederationObserver
from server.rounds.reply_checks import BadReply, check_receipt, list_failures

Answer = TypeVar("Answer")

NO_REPLY = "no reply in time"
SHUT_OUT = "was shut out, or its key was replaced"

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
class _Question:
    """A request as it travels: the kind of the message, its content, and the values in it."""

    kind: str
    content: RecordDict
    words: dict[str, Any]


@dataclass
class _Beside:
    """A message whose answer nobody waits for: whom it went to, how long it may take, and the reply."""

    name: str
    question: _Question
    deadline: float
    reply: Message | None = None


class Messenger:
    """Asks hospitals, and hands over what can be used of their replies.

    Parameters
    ----------
    transport : Transport
        Flower's Grid, or a stand-in.
    plan : TrainingPlan
        Travels with every message, and says how long to wait for replies.
    poll_seconds : float
        Time between two looks for replies.
    retry_seconds : float
        Time before hospitals are asked again.
    observer : FederationObserver
        Is told when hospitals are asked again.
    explain : callable
        Returns why a hospital gave no answer.
    locate : callable
        Returns a member as it can be reached now; None once it was shut out.

    Attributes
    ----------
    federation : str
        `FederationState.federation`; travels with every message.
    """

    def __init__(
        self,
        transport: Transport,
        plan: TrainingPlan,
        poll_seconds: float,
        retry_seconds: float,
        observer: FederationObserver,
        explain: Callable[[Error], str],
        locate: Callable[[Member], Member | None],
    ) -> None:
        self._transport = transport
        self._plan = plan
        self._poll_seconds = poll_seconds
        self._retry_seconds = retry_seconds
        self._observer = observer
        self._explain = explain
        self._locate = locate
        self.federation = ""
        self._asked: dict[str, Member] = {}
        self._beside: dict[str, _Beside] = {}
        self._overdue: dict[str, str] = {}
        self._late: Counter[str] = Counter()
        self._repeated: Counter[str] = Counter()

    def ask_until_enough(
        self,
        what: str,
        request: Request,
        read: Callable[[str, Message], Answer],
        gather: Callable[[Container[str]], tuple[Mapping[str, Member], dict[str, str]]],
        refuse: Callable[[Mapping[str, Answer]], dict[str, str]] = lambda answers: {},
    ) -> tuple[dict[str, Answer], dict[str, str]]:
        """Ask until `federation.min_sites` hospitals gave a usable reply, at most `federation.round_attempts` times.

        Parameters
        ----------
        what : str
            What is asked for, at the start of a line.
        request, read
            As for `ask`.
        gather : callable
            Takes the names of those that have answered; returns which others to ask, and why the rest cannot be asked.
        refuse : callable
            Takes all answers so far; returns which of them cannot be used, and why.

        Returns
        -------
        answers, failures : dict
            By name, sorted: the usable answers, and why there is none of the others.

        Raises
        ------
        RunError
            If there are too few usable replies in the last attempt.
        """
        federation = self._plan.federation
        answers: dict[str, Answer] = {}
        for attempt in range(1, federation.round_attempts + 1):
            members, missing = gather(answers)
            sites = len(answers) + len(members) + len(missing)
            new, failures = self.ask(members, request, read) if members else ({}, {})
            answers |= new
            # An answer by a key that was revoked meanwhile is nobody's.
            moved, left = self._moved_and_left(answers)
            failures |= refuse(answers) | dict.fromkeys([*moved, *left], SHUT_OUT) | missing
            answers = {name: answer for name, answer in sorted(answers.items()) if name not in failures}
            if len(answers) >= federation.min_sites:
                break
            told = (
                f"{what}: {len(answers)} of {sites} sites gave a usable reply, "
                f"federation.min_sites is {federation.min_sites} ({list_failures(failures)})"
            )
            if attempt == federation.round_attempts:
                raise RunError(f"{told}; the rounds before are safe, go on once the hospitals are there")
            self.wait_to_ask_again(told)
        return answers, dict(sorted(failures.items()))

    def ask(
        self, members: Mapping[str, Member], request: Request, read: Callable[[str, Message], Answer]
    ) -> tuple[dict[str, Answer], dict[str, str]]:
        """Send one message to each member, and wait until all have answered or the plan's time is up.

        One that is shut out meanwhile is not waited for; one that has a new node is asked there.

        Parameters
        ----------
        members : mapping of str to Member
            Whom to ask, by the name that the answer gets.
        request : Request
            What to ask.
        read : callable
            Takes a name and its reply, and returns the answer; raises `BadReply` if the reply cannot be used.

        Returns
        -------
        answers, failures : dict
            By name, in the order of `members`: the answers, and why there is none.
        """
        question = self._question(request)
        replies, gone = self._await(question, members)
        found: dict[str, Message | str] = {
            name: SHUT_OUT if name in gone else replies.get(name, NO_REPLY) for name in members
        }
        return self._read(question, found, read)

    def ask_beside(self, members: Mapping[str, Member], request: Request) -> None:
        """Send one message to each member, and wait for no answer: `answered_beside` hands over what has come."""
        question = self._question(request)
        deadline = time.monotonic() + self._plan.federation.round_seconds
        for each, name in self._send(question, members).items():
            self._beside[each] = _Beside(name, question, deadline)

    def answered_beside(self, read: Callable[[str, Message], Answer]) -> tuple[dict[str, Answer], dict[str, str]]:
        """Return what came of `ask_beside` since the last call: answers, and why there is none, each by name."""
        if self._beside:
            for _ in self._look([]):
                pass
        moved, left = self._moved_and_left({each.name for each in self._beside.values() if each.reply is None})
        answers: dict[str, Answer] = {}
        failures: dict[str, str] = {}
        for each, beside in list(self._beside.items()):
            if beside.name in moved and beside.reply is None:
                (there,) = self._send(beside.question, {beside.name: moved[beside.name]})
                self._beside[there] = replace(beside)
                self._overdue[each] = self._beside.pop(each).name
                continue
            reply: Message | str | None = SHUT_OUT if beside.name in left else beside.reply
            if reply is None and time.monotonic() > beside.deadline:
                reply = NO_REPLY
                self._overdue[each] = beside.name
            if reply is not None:
                del self._beside[each]
                new, failed = self._read(beside.question, {beside.name: reply}, read)
                answers |= new
                failures |= failed
        return answers, failures

    def wait_to_ask_again(self, told: str) -> None:
        """Report why hospitals must be asked again, and wait."""
        when = f"in {self._retry_seconds:.0f} s" if self._retry_seconds else "at once"
        self._observer.trouble(f"{told}; asked again {when}")
        time.sleep(self._retry_seconds)

    def discarded(self) -> DiscardedReplies:
        """Return what was discarded since the last call."""
        counts = DiscardedReplies(dict(sorted(self._late.items())), dict(sorted(self._repeated.items())))
        self._late.clear()
        self._repeated.clear()
        return counts

    def sleep(self) -> None:
        """Wait as between two looks for replies."""
        time.sleep(self._poll_seconds)

    def _question(self, request: Request) -> "_Question":
        # Built once for all members: the tail is large to serialise and to hash.
        content = messages.request_content(
            self._plan, {messages.FEDERATION: self.federation, **request.config}, request.tail
        )
        return _Question(request.kind, content, dict(content.config_records[messages.CONFIG]))

    def _send(self, question: "_Question", members: Mapping[str, Member]) -> dict[str, str]:
        """Send a question to members; return their names by the ids of the messages."""
        life = _LIFE * self._plan.federation.round_seconds
        requests = []
        for member in members.values():
            own = RecordDict({**question.content, messages.CONFIG: ConfigRecord({**question.words, **member.config})})
            requests.append(Message(own, message_type=question.kind, dst_node_id=member.node_id, ttl=life))
        self._asked |= members
        return dict(zip(self._transport.push_messages(requests), members, strict=True))

    def _read(
        self, question: "_Question", found: Mapping[str, Message | str], read: Callable[[str, Message], Answer]
    ) -> tuple[dict[str, Answer], dict[str, str]]:
        """Read replies by name, or take over why there is none; return answers and failures."""
        receipt = receipt_of(question.words)
        answers: dict[str, Answer] = {}
        failures: dict[str, str] = {}
        for name, reply in found.items():
            try:
                if isinstance(reply, str):
                    raise BadReply(reply)
                if reply.has_error():
                    raise BadReply(self._explain(reply.error))
                check_receipt(reply, receipt)
                answers[name] = read(name, reply)
            except BadReply as error:
                failures[name] = str(error)
        return answers, failures

    def _await(self, question: "_Question", members: Mapping[str, Member]) -> tuple[dict[str, Message], set[str]]:
        """Ask, and return by name the replies that come in time, and who was shut out meanwhile."""
        replies: dict[str, Message] = {}
        gone: set[str] = set()
        deadline = time.monotonic() + self._plan.federation.round_seconds
        names = self._send(question, members)
        pending = dict(names)
        while True:
            # Not those that have answered: Flower may hand over a reply again.
            for message_id, reply in self._look(pending):
                name = names[message_id]
                if name in replies:
                    self._repeated[name] += 1
                else:
                    replies[name] = reply
            moved, left = self._moved_and_left(set(names.values()) - replies.keys())
            gone |= left
            for message_id in [each for each, name in names.items() if name in moved or name in left]:
                self._overdue[message_id] = names.pop(message_id)
            names |= self._send(question, moved) if moved else {}
            pending = {message_id: name for message_id, name in names.items() if name not in replies}
            if not pending or time.monotonic() > deadline:
                break
            time.sleep(self._poll_seconds)
        self._overdue |= pending
        return replies, gone

    def _moved_and_left(self, names: Iterable[str]) -> tuple[dict[str, Member], set[str]]:
        """Return which of the hospitals that were asked have another node now, and which were shut out."""
        places = {name: self._locate(self._asked[name]) for name in sorted(names)}
        moved = {
            name: place
            for name, place in places.items()
            if place is not None and place.node_id != self._asked[name].node_id
        }
        return moved, {name for name, place in places.items() if place is None}

    def _look(self, message_ids: Iterable[str]) -> Iterator[tuple[str, Message]]:
        """Yield the replies to some messages that have come, and keep or count those to others."""
        for reply in self._transport.pull_messages([*message_ids, *self._beside, *self._overdue]):
            message_id = reply.metadata.reply_to_message_id
            if message_id in self._overdue:
                name = self._overdue.pop(message_id)
                if not reply.has_error():
                    self._late[name] += 1
            elif message_id in self._beside:
                self._beside[message_id].reply = self._beside[message_id].reply or reply
            else:
                yield message_id, reply
