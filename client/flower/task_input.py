"""Takes a task from the SuperNode: Flower's function of this purpose, with a bound, and with an answer for what fails.

Flower's own puts whatever the server sent together, and where that fails the SuperNode waits for a reply for ever.
"""

from typing import NamedTuple

import httpx
from flwr.app import Context, Message
from flwr.common.serde import context_from_proto, fab_from_proto, message_from_proto, run_from_proto
from flwr.proto.message_pb2 import ObjectTree
from flwr.proto.node_pb2 import Node
from flwr.proto.runtime_pb2 import PullAppMessagesRequest, PullTaskInputRequest
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from flwr.supercore.inflatable.inflatable_protobuf_utils import (
    make_confirm_message_received_fn_protobuf,
    make_pull_object_fn_protobuf,
)
from flwr.supercore.inflatable.inflatable_utils import ObjectPullError, inflate_object_from_contents
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supercore.task_identity import TaskIdentity

from common.protocol.message_size import MessageTooLarge, SizeBound, check_put_together, pull_bounded


class TaskInput(NamedTuple):
    """What a task consists of.

    Attributes
    ----------
    message : Message
        From the server; without its content if there is a problem.
    context : Context
        Flower's.
    run_id : int
        Flower's number of the run.
    bundle : bytes
        The zip of the Flower app that asks.
    problem : Exception or None
        Why the message's content cannot be had: `MessageTooLarge`, or whatever reading it raised.
    """

    message: Message
    context: Context
    run_id: int
    bundle: bytes
    problem: Exception | None


def pull_task_input(client: RuntimeHttpClient, bound: SizeBound) -> TaskInput:
    """Return the task that a client's token stands for.

    Parameters
    ----------
    client : RuntimeHttpClient
        Of a SuperNode.
    bound : SizeBound
        How large its message may be.

    Raises
    ------
    httpx.HTTPError
        If the SuperNode is gone, or has no such task.
    """
    given = client.PullTaskInput(PullTaskInputRequest())
    TaskIdentity.task_id, TaskIdentity.run_id = given.task_id, given.run.run_id
    TaskIdentity.node_id = given.context.node_id
    context, run = context_from_proto(given.context), run_from_proto(given.run)
    pulled = client.PullMessages(PullAppMessagesRequest())
    if not pulled.messages_list:
        raise RuntimeError("the SuperNode has no message for this task: it gave the message up")
    tree = pulled.message_object_trees[0]
    node = Node(node_id=context.node_id)
    problem: Exception | None = None
    message = message_from_proto(pulled.messages_list[0])
    try:
        message = _pull_message(tree, client, node, context.run_id, bound)
    except httpx.HTTPError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a crafted message brings Flower to
        problem = error
    # The SuperNode keeps it until then.
    make_confirm_message_received_fn_protobuf(client.ConfirmMessageReceived, node, context.run_id)(tree.object_id)
    message.metadata.__dict__["_message_id"] = tree.object_id
    return TaskInput(message, context, run.run_id, fab_from_proto(given.fab).content, problem)


def _pull_message(tree: ObjectTree, client: RuntimeHttpClient, node: Node, run_id: int, bound: SizeBound) -> Message:
    listed = [each.object_id for each in iterate_object_tree(tree)]
    try:
        contents = pull_bounded(bound, listed, make_pull_object_fn_protobuf(client.PullObject, node, run_id))
    except ObjectPullError as error:
        raise MessageTooLarge("the SuperNode gave it up, see its log") from error
    check_put_together(bound, contents)
    message = inflate_object_from_contents(tree.object_id, contents)
    if not isinstance(message, Message):
        raise TypeError(f"a message came as {type(message).__name__}")
    return message
