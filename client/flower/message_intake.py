"""Bounds what a SuperNode keeps of a message: Flower pulls all that the server names into memory, before any rule.

A message that is too large is given up, and not hidden from whoever answers for the hospital: the runner finds that its
parts are gone (`client.flower.task_input`), says so to the server and writes it into the audit log. When what is
replaced here has moved in Flower, tests/client/flower/test_flower_seam.py fails.
"""

import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from flwr.proto.fleet_pb2 import PullMessagesResponse
from flwr.proto.message_pb2 import PullObjectRequest, PullObjectResponse
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from flwr.supernode import fleet_http_connection, start_client_internal
from flwr.supernode.servicer.runtime import runtime_handlers

from client.flower.server_answers import BoundedFleetClient, UnwelcomeAnswer
from common.protocol.message_size import MessageTooLarge, SizeBound, pull_bounded


class MessageIntake:
    """What a SuperNode takes of the messages that the server has for it, one at a time.

    Parameters
    ----------
    bound : callable
        Returns how large the next message may be.
    """

    def __init__(self, bound: Callable[[], SizeBound]) -> None:
        self._bound = bound
        self._given_up: set[str] = set()

    def install(self) -> None:
        """Put this in the place of what Flower calls, in this process."""
        intake, lend = self, runtime_handlers.pull_object

        class Client(BoundedFleetClient):
            def PullMessages(self, request: Any) -> PullMessagesResponse:  # noqa: N802 - Flower's name
                return intake.admit(super().PullMessages(request))

        def lend_object(request: PullObjectRequest, *others: Any) -> PullObjectResponse:
            return PullObjectResponse() if request.object_id in intake._given_up else lend(request, *others)

        fleet_http_connection.FleetHttpClient = Client  # type: ignore[attr-defined]
        start_client_internal.pull_objects = self.pull  # type: ignore[attr-defined]
        runtime_handlers.pull_object = lend_object  # type: ignore[assignment]

    def admit(self, response: PullMessagesResponse) -> PullMessagesResponse:
        """Return the answer to a look for messages, without what Flower must not see.

        Flower writes a tree of objects out for each place that an object is named at, over and over; in rarefed's
        messages each object has one.
        """
        self._given_up = set()
        if not response.messages_list:
            return response
        roots = [tree.object_id for tree in response.message_object_trees[:1]]
        if roots != [response.messages_list[0].metadata.message_id]:
            _say("a message came without its own objects: it is left alone")
            return PullMessagesResponse()
        tree = response.message_object_trees[0]
        named = [each.object_id for each in iterate_object_tree(tree)]
        if len(named) > min(len(set(named)), self._bound().objects):
            _say(f"a message is given up: {len(named)} objects, {len(set(named))} different ones")
            self._given_up = set(roots)
            del tree.children[:]
        return response

    def pull(
        self, object_ids: Iterable[str], pull_object_fn: Callable[[str], bytes], **settings: Any
    ) -> dict[str, bytes]:
        """Pull a message's objects from the server, or nothing if they are too large."""
        listed = [each for each in object_ids if each not in self._given_up]
        try:
            return pull_bounded(self._bound(), listed, pull_object_fn, **settings)
        except (MessageTooLarge, UnwelcomeAnswer) as error:
            _say(f"a message is given up: {error}")
            self._given_up.update(listed)
            return {}
        except MemoryError:
            # Whatever has filled this process in the meantime is gone with it; the daemon starts it again.
            _say("no memory is left for messages")
            os._exit(1)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
