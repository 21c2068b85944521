"""Messages to hospitals and their replies: in time, once, and to what was asked."""

import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from flwr.app import Error, Message

from common.errors import RunError
from common.plan.groups import FederationPlan
from common.protocol.receipt import receipt_of
from server.rounds.courier import Courier, Member, Question, Request
from server.rounds.observer import FederationObserver
from server.rounds.reply_checks import BadReply, check_receipt, list_failures
from server.rounds.state import FailedAttempt

Answer = TypeVar("Answer")

NO_REPLY = "no reply in time"
SHUT_OUT = "was shut out, or its key was replaced"


@dataclass
class _Beside:
    """A message whose answer nobody waits for: whom it went to, how long it may take, and the reply."""

    name: str
    question: Question
    deadline: float
    reply: Message | None = None


class Messenger:
    """Asks hospitals, and hands over what can be used of their replies.

    Parameters
    ----------
    courier : Courier
        Carries the messages and their replies.
    settings : FederationPlan
        How long to wait for replies, how many are enough, and how often to ask.
    poll_seconds : float
        Time between two looks for replies.
    retry_seconds : float
        Time before hospitals are asked again.
    observer : FederationObserver
        Is told when hospitals are asked again.
    explain : callable
        Returns why a hospital gave no answer.
    """

    def __init__(
        self,
        courier: Courier,
        settings: FederationPlan,
        poll_seconds: float,
        retry_seconds: float,
        observer: FederationObserver,
        explain: Callable[[Error], str],
    ) -> None:
        self._courier = courier
        self._settings = settings
        self._poll_seconds = poll_seconds
        self._retry_seconds = retry_seconds
        self._observer = observer
        self._explain = explain
        self._beside: dict[str, _Beside] = {}

    def ask_until_enough(
        self,
        what: str,
        request: Request,
        read: Callable[[str, Message], Answer],
        gather: Callable[[Container[str]], tuple[Mapping[str, Member], dict[str, str]]],
        refuse: Callable[[Mapping[str, Answer]], dict[str, str]] = lambda answers: {},
    ) -> tuple[dict[str, Answer], dict[str, str], tuple[FailedAttempt, ...]]:
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
        failed_attempts : tuple of FailedAttempt
            Those before the last.

        Raises
        ------
        RunError
            If there are too few usable replies in the last attempt.
        """
        answers: dict[str, Answer] = {}
        failed: list[FailedAttempt] = []
        for attempt in range(1, self._settings.round_attempts + 1):
            members, missing = gather(answers)
            sites = len(answers) + len(members) + len(missing)
            new, failures = self.ask(members, request, read) if members else ({}, {})
            answers |= new
            # An answer by a key that was revoked meanwhile is nobody's.
            moved, left = self._courier.moved_and_left(answers)
            failures |= refuse(answers) | dict.fromkeys([*moved, *left], SHUT_OUT) | missing
            answers = {name: answer for name, answer in sorted(answers.items()) if name not in failures}
            failures = dict(sorted(failures.items()))
            if len(answers) >= self._settings.min_sites:
                break
            failed.append(FailedAttempt(len(answers), failures))
            told = (
                f"{what}: {len(answers)} of {sites} sites gave a usable reply, "
                f"federation.min_sites is {self._settings.min_sites} ({list_failures(failures)})"
            )
            if attempt == self._settings.round_attempts:
                raise RunError(f"{told}; the rounds before are safe, go on once the hospitals are there")
            self.wait_to_ask_again(told)
        return answers, failures, tuple(failed)

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
        question = self._courier.question(request)
        replies, gone = self._await(question, members)
        found: dict[str, Message | str] = {
            name: SHUT_OUT if name in gone else replies.get(name, NO_REPLY) for name in members
        }
        return self._read(question, found, read)

    def ask_beside(self, members: Mapping[str, Member], request: Request) -> None:
        """Send one message to each member, and wait for no answer: `answered_beside` hands over what has come."""
        question = self._courier.question(request)
        deadline = time.monotonic() + self._settings.round_seconds
        for each, name in self._courier.send(question, members).items():
            self._beside[each] = _Beside(name, question, deadline)

    def answered_beside(self, read: Callable[[str, Message], Answer]) -> tuple[dict[str, Answer], dict[str, str]]:
        """Return what came of `ask_beside` since the last call: answers, and why there is none, each by name."""
        if self._beside:
            for _ in self._look([]):
                pass  # `_look` keeps those to messages beside
        moved, left = self._courier.moved_and_left({each.name for each in self._beside.values() if each.reply is None})
        answers: dict[str, Answer] = {}
        failures: dict[str, str] = {}
        for each, beside in list(self._beside.items()):
            if beside.name in moved and beside.reply is None:
                (there,) = self._courier.send(beside.question, {beside.name: moved[beside.name]})
                self._beside[there] = replace(beside)
                self._courier.give_up({each: self._beside.pop(each).name})
                continue
            reply: Message | str | None = SHUT_OUT if beside.name in left else beside.reply
            if reply is None and time.monotonic() > beside.deadline:
                reply = NO_REPLY
                self._courier.give_up({each: beside.name})
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

    def sleep(self) -> None:
        """Wait as between two looks for replies."""
        time.sleep(self._poll_seconds)

    def _read(
        self, question: Question, found: Mapping[str, Message | str], read: Callable[[str, Message], Answer]
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

    def _await(self, question: Question, members: Mapping[str, Member]) -> tuple[dict[str, Message], set[str]]:
        """Ask, and return by name the replies that come in time, and who was shut out meanwhile."""
        replies: dict[str, Message] = {}
        gone: set[str] = set()
        deadline = time.monotonic() + self._settings.round_seconds
        names = self._courier.send(question, members)
        pending = dict(names)
        while True:
            # Not those that have answered: Flower may hand over a reply again.
            for message_id, reply in self._look(pending):
                name = names[message_id]
                if name in replies:
                    self._courier.count_repeated(name)
                else:
                    replies[name] = reply
            moved, left = self._courier.moved_and_left(set(names.values()) - replies.keys())
            gone |= left
            for message_id in [each for each, name in names.items() if name in moved or name in left]:
                self._courier.give_up({message_id: names.pop(message_id)})
            names |= self._courier.send(question, moved) if moved else {}
            pending = {message_id: name for message_id, name in names.items() if name not in replies}
            if not pending or time.monotonic() > deadline:
                break
            time.sleep(self._poll_seconds)
        self._courier.give_up(pending)
        return replies, gone

    def _look(self, awaited: Iterable[str]) -> Iterator[tuple[str, Message]]:
        """Yield the replies to the awaited messages that have come, and keep those to messages beside."""
        for message_id, reply in self._courier.look([*awaited, *self._beside]):
            if message_id in self._beside:
                self._beside[message_id].reply = self._beside[message_id].reply or reply
            else:
                yield message_id, reply
