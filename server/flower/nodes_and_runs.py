"""Hospitals and runs as Flower knows them; loads nothing of Flower."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flwr.proto.node_pb2 import NodeInfo
    from flwr.proto.run_pb2 import Run as RunMessage

FINISHED = ("completed", "failed", "stopped")
"""The states in which a run can end."""


@dataclass(frozen=True)
class Node:
    """A hospital as Flower knows it.

    Attributes
    ----------
    id : int
        Flower's number for it.
    name : str
        As registered; empty if it was registered without one.
    key : bytes
        Its public key, as `key_bytes` writes it.
    status : str
        "registered" (never online so far), "online" or "offline".
    registered, activated, deactivated : datetime or None
        When it was registered, last came online and last went offline.
    """

    id: int
    name: str
    key: bytes
    status: str
    registered: datetime | None
    activated: datetime | None
    deactivated: datetime | None


@dataclass(frozen=True)
class Run:
    """A run as Flower knows it.

    Attributes
    ----------
    id : int
        Flower's number for it.
    status : str
        "pending", "starting", "running", or one of `FINISHED`.
    details : str
        Why it failed; else empty.
    submitted, started, finished : datetime or None
        When it was submitted, began to run, and ended.
    seconds : float
        From when it began to run until now or its end.
    bytes_in, bytes_out : int
        What the server received from hospitals and sent to them.
    """

    id: int
    status: str
    details: str
    submitted: datetime | None
    started: datetime | None
    finished: datetime | None
    seconds: float
    bytes_in: int
    bytes_out: int


def node_of(message: "NodeInfo") -> Node:
    """Return a hospital from Flower's message about it."""
    return Node(
        id=message.node_id,
        name=message.name,
        key=message.public_key,
        status=message.status,
        registered=_time(message.registered_at),
        activated=_time(message.last_activated_at),
        deactivated=_time(message.last_deactivated_at),
    )


def run_of(message: "RunMessage", now: datetime) -> Run:
    """Return a run from Flower's message about it, at a time of the server's clock."""
    started, finished = _time(message.running_at), _time(message.finished_at)
    return Run(
        id=message.run_id,
        status=message.status.sub_status or message.status.status,
        details=message.status.details,
        submitted=_time(message.pending_at),
        started=started,
        finished=finished,
        seconds=((finished or now) - started).total_seconds() if started else 0.0,
        bytes_in=message.bytes_recv,
        bytes_out=message.bytes_sent,
    )


def _time(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
