"""What the audit log says about one message: what was asked, what was decided, how much was sent."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from flwr.app import MessageType

from client.rules.audit_log import AuditHead, AuditLog, Event
from common.protocol.refusals import Failure, Rule

_ANSWERED = {
    MessageType.QUERY: Event.INTRODUCED,
    MessageType.TRAIN: Event.TRAINED,
    MessageType.EVALUATE: Event.TESTED,
}
# Flower's types of the messages that look at the images with a model of the server's choice.
_WORK = frozenset({MessageType.TRAIN, MessageType.EVALUATE})

ANSWERED_KINDS = frozenset(_ANSWERED)
"""Flower's message types that a hospital answers."""


class MessageAudit:
    """Writes the audit log's records about one message.

    Parameters
    ----------
    log : AuditLog
        This hospital's.
    run_id : int
        Flower's number of the run that the message belongs to.
    kind : str
        Flower's type of the message.
    """

    def __init__(self, log: AuditLog, run_id: int, kind: str) -> None:
        self._log = log
        self._asked: dict[str, Any] = {"run": str(run_id), "kind": kind}

    def __str__(self) -> str:
        return f"{self._asked['kind']} of run {self._asked['run']}"

    def note(self, details: Mapping[str, Any]) -> None:
        """Add to what all later records say of the message.

        Called while the message is read, so that a refusal tells as much of it as was understood.
        """
        self._asked |= details

    def requested(self) -> None:
        """Record that the rules allow what is asked, before anything is done about it."""
        self._log.append(Event.REQUEST, **self._asked)

    def answered(self, images: int | None, bytes_sent: int, withheld: tuple[str, ...], seconds: float) -> AuditHead:
        """Record the reply that is about to leave, and how long it took; return the log's head.

        Parameters
        ----------
        images : int or None
            How many were trained on or tested; None where that was not asked.
        bytes_sent : int
        withheld : tuple of str
            Keys that do not leave.
        seconds : float
        """
        self._asked |= {} if images is None else {"images": images}
        event = _ANSWERED[self._asked["kind"]]
        return self._log.append(
            event, **self._asked, bytes_sent=bytes_sent, withheld=list(withheld), seconds=round(seconds, 1)
        )

    def resent(self, bytes_sent: int, withheld: tuple[str, ...]) -> AuditHead:
        """Record a reply that was computed before and is about to leave again; return the log's head."""
        return self._log.append(Event.RESENT, **self._asked, bytes_sent=bytes_sent, withheld=list(withheld))

    def refused(self, rule: Rule) -> None:
        """Record that a rule said no."""
        self._log.append(Event.REFUSED, **self._asked, rule=rule.value)

    def failed(self, failure: Failure) -> None:
        """Record that something went wrong."""
        self._log.append(Event.FAILED, **self._asked, failure=failure.value)

    def work_of_last_day(self) -> int:
        """Return how many trainings and tests this hospital began in the last 24 hours, for all federations.

        One that was given up counts; a reply that was sent again does not.
        """
        began = self._log.since(datetime.now(UTC) - timedelta(days=1))
        work = Counter(record.get("event") for record in began if record.get("kind") in _WORK)
        return work[Event.REQUEST] - work[Event.RESENT]
