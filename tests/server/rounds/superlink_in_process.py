"""Flower's own Grid over Flower's own state of a SuperLink, without processes: only HTTP is left out."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from flwr.app import ConfigRecord, Message, RecordDict
from flwr.proto.message_pb2 import ObjectTree, PushObjectResponse
from flwr.server.superlink.linkstate import LinkStateFactory
from flwr.supercore.constant import FLWR_IN_MEMORY_DB_NAME, NOOP_FEDERATION_ID
from flwr.supercore.inflatable.inflatable_object import (
    HEAD_BODY_DIVIDER,
    get_all_nested_objects,
    get_object_id,
    get_object_tree,
)
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.run import Run
from flwr.superlink.federation import NoOpFederationManager
from flwr.superlink.grid.http_grid import HttpGrid
from flwr.superlink.servicer.runtime import runtime_handlers

from common.protocol import messages


class SuperLinkInProcess:
    """A SuperLink that a run is registered with, and its nodes.

    Attributes
    ----------
    grid : HttpGrid
        Of the run.
    deaths : int
        How many uploads of an object it will still lose: it stores the object, dies, and forgets who sent it.
    pulled : int
        How many objects were pulled from it.
    """

    def __init__(self) -> None:
        manager = NoOpFederationManager()
        self.state: Any = LinkStateFactory(FLWR_IN_MEMORY_DB_NAME, manager, ObjectStoreFactory()).state()
        manager.linkstate = self.state
        self.run_id: int = self.state.create_run("a/b", "1", "hash", {}, NOOP_FEDERATION_ID, None, "", "flwr-serverapp")
        self.deaths = 0
        self.pulled = 0
        self._unsent: dict[int, Callable[[], None]] = {}
        self.grid = HttpGrid(token="token")
        self.grid.set_run(Run.create_empty(self.run_id))
        self.grid._client = self  # type: ignore[assignment]

    def node(self) -> int:
        """Let a node come online."""
        number = len(self.state.nodes)
        created: int = self.state.create_node("", "", str(number).encode(), 30)
        self.state.activate_node(created, 30)
        return created

    def question(self, node: int) -> Message:
        """Return a message to a node."""
        content = RecordDict({messages.CONFIG: ConfigRecord({"a": 1}), messages.ARRAYS: messages.tail_record(_tail())})
        question = Message(content, message_type="train", dst_node_id=node)
        question.metadata.__dict__["_run_id"] = self.run_id
        return question

    def received(self, node: int) -> list[Message]:
        """Return the messages that a node is given."""
        found: list[Message] = self.state.get_message_ins(node, None)
        return found

    def answer(self, node: int, whole: bool) -> None:
        """Have a node answer its message; without its content if not whole."""
        (asked,) = self.received(node)
        reply = Message(RecordDict({messages.ARRAYS: messages.tail_record(_tail() + node % 1000)}), reply_to=asked)
        reply.metadata.__dict__["_message_id"] = reply.object_id
        session = self.state.start_session(self.run_id)
        objects = get_all_nested_objects(reply)
        bare = Message(RecordDict(), reply_to=asked)
        bare.metadata.__dict__.update(reply.metadata.__dict__)
        _, missing = self.state.store_message_and_object_tree(bare, get_object_tree(reply), session)

        def send() -> None:
            for each in missing:
                assert self.state.store_object(self.run_id, session, each, objects[each].deflate())

        if whole:
            send()
        else:
            self._unsent[node] = send

    def answer_with(self, node: int, lie: str) -> None:
        """Have a node answer its message with something that is no answer to it."""
        (asked,) = self.received(node)
        reply = Message(RecordDict({messages.ARRAYS: messages.tail_record(_tail())}), reply_to=asked)
        if lie == "another message's answer":
            reply.metadata.__dict__["_reply_to_message_id"] = "a" * 64
        if lie == "hundreds of objects":
            reply = Message(RecordDict({str(each): ConfigRecord({"a": each}) for each in range(500)}), reply_to=asked)
        sent: Any = reply.content if lie == "no message" else reply
        root, objects = sent.object_id, {each: one.deflate() for each, one in get_all_nested_objects(sent).items()}
        tree = get_object_tree(sent)
        if lie == "garbage":
            garbage = b"Message  200" + HEAD_BODY_DIVIDER + b"\xff\xfe" * 100
            root = get_object_id(garbage)
            tree, objects = ObjectTree(object_id=root), {root: garbage}
        bare = Message(RecordDict(), reply_to=asked)
        bare.metadata.__dict__["_message_id"] = root
        session = self.state.start_session(self.run_id)
        _, missing = self.state.store_message_and_object_tree(bare, tree, session)
        for each in missing:
            assert self.state.store_object(self.run_id, session, each, objects[each])

    def complete(self, node: int) -> None:
        """Have a node send what its answer lacked; Flower's threads wait for it for two hours, also at exit."""
        self._unsent.pop(node)()

    def __getattr__(self, call: str) -> Any:
        handler = {
            "GetNodes": runtime_handlers.get_nodes,
            "PushMessages": runtime_handlers.push_messages,
            "PullMessages": runtime_handlers.pull_messages,
            "ConfirmMessageReceived": runtime_handlers.confirm_message_received,
        }[call]
        return lambda request: handler(request, self.state, SimpleNamespace(run_id=self.run_id))

    def PullObject(self, request: Any) -> Any:  # noqa: N802 - Flower's name
        self.pulled += 1
        return runtime_handlers.pull_object(request, self.state, cast(Any, SimpleNamespace(run_id=self.run_id)))

    def PushObject(self, request: Any) -> Any:  # noqa: N802 - Flower's name
        task: Any = SimpleNamespace(run_id=self.run_id)
        if self.deaths:
            self.deaths -= 1
            runtime_handlers.push_object(request, self.state, task)
            self.state.delete_sessions_in_run(self.run_id)
            return PushObjectResponse(stored=False)
        return runtime_handlers.push_object(request, self.state, task)


def _tail() -> np.ndarray:
    return np.arange(3, dtype=np.float32)
