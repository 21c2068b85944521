"""Flower's Grid as a federation needs it: what the SuperLink lost is sent again, and no upload holds up the others.

Flower pulls a reply as soon as its hospital begins to send it, and then waits for the rest: three minutes if the
hospital died meanwhile, within the one call that should bring the other hospitals' replies. And it takes a reply for
what it says of itself: one that is no message ends the call with an error, and one may name another message than its
own as the one that it answers.
"""

import threading
import time
from collections.abc import Iterable, Sequence

from flwr.app import Error, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_utils import ObjectPushError
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from common.errors import RunError
from common.protocol.message_size import MessageTooLarge
from common.protocol.reply_words import DIED_SENDING, TOO_LARGE, UNREADABLE

# Between two attempts to send; a SuperLink is back within a minute, or Flower has ended the run.
_PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 16.0)
# What reading a reply raises if the reply is at fault; trouble with the SuperLink raises others.
_NO_MESSAGE = (
    *(ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError),
    *(NotImplementedError, RecursionError, MemoryError, DecodeError),
)
# How long one look for replies waits for those that are on their way.
_LOOK_SECONDS = 1.0


class GridTransport:
    """Sends messages and fetches replies over Flower's Grid, each reply in its own thread.

    Parameters
    ----------
    grid : Grid
        Flower's.
    pauses : sequence of float
        Seconds between two attempts to send.
    """

    def __init__(self, grid: Grid, pauses: Sequence[float] = _PAUSES) -> None:
        self._grid = grid
        self._pauses = pauses
        self._nodes: dict[str, int] = {}
        self._fetches: dict[str, _Fetch] = {}

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Send messages; return their ids in the same order.

        Raises
        ------
        RunError
            If the SuperLink still does not take them after all attempts.
        """
        listed = list(messages)
        ids = self._push(listed)
        self._nodes |= {each: message.metadata.dst_node_id for each, message in zip(ids, listed, strict=True)}
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies that are whole; for a hospital that is gone in the midst of its reply, an error."""
        asked = list(message_ids)
        for each in asked:
            if each not in self._fetches:
                self._fetches[each] = _Fetch(self._grid, each, self._nodes.get(each, 0))
        deadline = time.monotonic() + _LOOK_SECONDS
        for each in asked:
            self._fetches[each].wait(deadline - time.monotonic())
        done = [each for each in asked if self._fetches[each].is_over]
        replies = [reply for each in done for reply in self._fetches.pop(each).replies()]
        for reply in replies:
            self._nodes.pop(reply.metadata.reply_to_message_id, None)
        return replies + self._given_up([each for each in asked if each in self._fetches])

    def _push(self, messages: list[Message]) -> list[str]:
        """Send messages; those that the SuperLink has already keep their ids, and nobody gets them twice."""
        for pause in self._pauses:
            try:
                return list(self._grid.push_messages(messages))
            except ObjectPushError:
                time.sleep(pause)
        try:
            return list(self._grid.push_messages(messages))
        except ObjectPushError as error:
            raise RunError(
                f"the SuperLink did not take a message in {len(self._pauses) + 1} attempts ({error}); the rounds "
                "before are safe: see its log, and go on with `rarefed-server resume`"
            ) from error

    def _given_up(self, unfinished: list[str]) -> list[Message]:
        """Return an error for each reply on its way from a node that is offline; it is not waited for any more."""
        if not unfinished:
            return []
        online = set(self._grid.get_node_ids())
        gone = [each for each in unfinished if each in self._nodes and self._nodes[each] not in online]
        for each in gone:
            del self._fetches[each]  # its thread ends by itself
        return [_failed(each, self._nodes.pop(each), ErrorCode.NODE_UNAVAILABLE, DIED_SENDING) for each in gone]


class _Fetch:
    """One look for the reply to one message to a node, in a thread of its own."""

    def __init__(self, grid: Grid, message_id: str, node: int) -> None:
        self._grid = grid
        self._message_id = message_id
        self._node = node
        self._replies: list[Message] = []
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._fetch, daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether it has ended, with or without a reply."""
        return not self._thread.is_alive()

    def wait(self, seconds: float) -> None:
        """Wait for its end, or for some seconds."""
        self._thread.join(max(0.0, seconds))

    def replies(self) -> list[Message]:
        """Return what it brought; raises what Flower raised."""
        if self._error is not None:
            raise self._error
        return self._replies

    def _fetch(self) -> None:
        try:
            self._replies = [self._checked(reply) for reply in self._grid.pull_messages([self._message_id])]
        except MessageTooLarge:
            self._replies = [_failed(self._message_id, self._node, ErrorCode.UNKNOWN, TOO_LARGE)]
        except _NO_MESSAGE:
            self._replies = [_failed(self._message_id, self._node, ErrorCode.UNKNOWN, UNREADABLE)]
        except Exception as error:  # noqa: BLE001 - raised in the federation's thread
            self._error = error

    def _checked(self, reply: Message) -> Message:
        """Return a reply; raises `ValueError` for one that is none to the message that was asked for."""
        readable = reply.has_error() or isinstance(reply.content, RecordDict)
        if not readable or reply.metadata.reply_to_message_id != self._message_id:
            raise ValueError(UNREADABLE)
        return reply


def _failed(message_id: str, node: int, code: int, reason: str) -> Message:
    """Return a reply, which nobody sent, that says why there is none."""
    asked = Message(RecordDict(), dst_node_id=node, message_type="train")
    asked.metadata.__dict__["_message_id"] = message_id
    return Message(Error(code, reason), reply_to=asked)
