"""A server that answers a SuperNode with whatever it likes, and a hospital without the processes around it."""

import contextlib
import hashlib
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import uvicorn
from flwr.app import Error, Message, RecordDict
from flwr.app.message import remove_content_from_message
from flwr.common.serde import error_from_proto, message_to_proto
from flwr.proto import fleet_pb2, heartbeat_pb2, message_pb2, run_pb2
from flwr.proto.fab_pb2 import Fab, GetFabResponse
from flwr.proto.message_pb2 import ObjectTree
from flwr.proto.runtime_pb2 import AcquireTaskRequest
from flwr.supercore.constant import TaskType
from flwr.supercore.inflatable.inflatable_object import (
    get_all_nested_objects,
    get_object_children_ids_from_object_content,
    get_object_id,
)
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.primitives.asymmetric import generate_key_pairs
from flwr.supercore.superexec.executor import ExecutionSpec
from flwr.supernode import fleet_http_connection, start_client_internal
from flwr.supernode.main import create_app
from flwr.supernode.nodestate import NodeStateFactory

from client.flower.own_supernode import OwnRuntimeClient
from client.rules.hospital_file import HospitalFile
from client.runner.runner import FlowerTask
from common.protocol.refusals import known_reason
from common.system.ports import free_port
from server.flower.app_bundle import app_folder, build_bundle
from tests.waiting import wait_for

BUNDLE = build_bundle(app_folder())
BUNDLE_DIGEST = hashlib.sha256(BUNDLE).hexdigest()
NODE, RUN = 7, 1


class HostileServer:
    """Answers the calls of one SuperNode, as Flower's SuperLink does where nothing else is said.

    Parameters
    ----------
    content : RecordDict
        Of the one message that it has for the hospital.

    Attributes
    ----------
    objects : dict of str to bytes
        The message's objects; to be replaced by crafted ones.
    tree : ObjectTree
        What the hospital is told of them.
    bundle : bytes
        Of the app that asks.
    answers : dict of str to tuple
        Headers and body, in place of an answer, by the name of the call.
    replies : list of Error or None
        What came back.
    pulled : int
        Bytes of objects that were asked for.
    """

    def __init__(self, content: RecordDict) -> None:
        message = Message(content, dst_node_id=NODE, message_type="train")
        message.metadata.__dict__["_run_id"] = RUN
        message.metadata.__dict__["_message_id"] = message.object_id
        self.objects = {each: one.deflate() for each, one in get_all_nested_objects(message).items()}
        self.tree = self.tree_of(message.object_id)
        self.bundle = BUNDLE
        self.answers: dict[str, tuple[Mapping[str, str], bytes]] = {}
        self.replies: list[Error | None] = []
        self.pulled = 0
        self._message = remove_content_from_message(message)
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))

    def __enter__(self) -> "HostileServer":
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._http.server_address[1]}"

    def tree_of(self, object_id: str) -> ObjectTree:
        parts = get_object_children_ids_from_object_content(self.objects[object_id])
        return ObjectTree(object_id=object_id, children=[self.tree_of(each) for each in parts])

    def replace(self, object_id: str, crafted: bytes) -> None:
        """Put another object in the place of one, and other names of all that hold it."""
        other = get_object_id(crafted)
        del self.objects[object_id]
        self.objects[other] = crafted
        holders = [each for each, content in self.objects.items() if object_id.encode() in content]
        for each in holders:
            self.replace(each, self.objects[each].replace(object_id.encode(), other.encode()))
        if not holders:
            self._message.metadata.__dict__["_message_id"] = other
            self.tree = self.tree_of(other)

    def answer(self, call: str, body: bytes) -> Any:
        message_id, bundle = self._message.metadata.message_id, hashlib.sha256(self.bundle).hexdigest()
        if call == "pull-object":
            content = self.objects.get(message_pb2.PullObjectRequest.FromString(body).object_id, b"")
            self.pulled += len(content)
            return message_pb2.PullObjectResponse(
                object_found=bool(content), object_available=bool(content), object_content=content
            )
        if call == "push-messages":
            (reply,) = fleet_pb2.PushMessagesRequest.FromString(body).messages_list
            assert reply.metadata.reply_to_message_id == message_id
            self.replies.append(error_from_proto(reply.error) if reply.HasField("error") else None)
        return {
            "activate-node": fleet_pb2.ActivateNodeResponse(node_id=NODE),
            "send-node-heartbeat": heartbeat_pb2.SendNodeHeartbeatResponse(success=True),
            "pull-messages": fleet_pb2.PullMessagesResponse(
                messages_list=[message_to_proto(self._message)], message_object_trees=[self.tree]
            ),
            "get-run": run_pb2.GetRunResponse(run=run_pb2.Run(run_id=RUN, fab_hash=bundle)),
            "get-fab": GetFabResponse(fab=Fab(hash_str=bundle, content=self.bundle)),
            "confirm-message-received": message_pb2.ConfirmMessageReceivedResponse(),
            "push-messages": fleet_pb2.PushMessagesResponse(),
            "deactivate-node": fleet_pb2.DeactivateNodeResponse(),
        }[call]


def _handler(server: HostileServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            call = self.path.rpartition("/")[2]
            if call in server.answers:
                headers, answer = server.answers[call]
            else:
                headers, answer = {}, server.answer(call, body).SerializeToString()
            self.send_response(int(headers.get("status", 200)))
            length = {} if "transfer-encoding" in headers else {"content-length": str(len(answer))}
            for key, value in {"content-type": "application/x-protobuf", **headers, **length}.items():
                if key != "status":
                    self.send_header(key, value)
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(answer)

    return Handler


@contextlib.contextmanager
def runtime_api(states: NodeStateFactory, secret: bytes | None = None) -> Iterator[str]:
    """Serve a SuperNode's Runtime API, as its process does; yields the address."""
    port = free_port()
    settings = uvicorn.Config(create_app(states, secret), host="127.0.0.1", port=port, ws="none", log_level="warning")
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started, "the Runtime API")
        yield f"127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def one_message(server: HostileServer, hospital: HospitalFile) -> Error | None:
    """Have a hospital's SuperNode take the server's message, its runner answer it, and the server get the answer."""
    states = NodeStateFactory(objectstore_factory=ObjectStoreFactory())
    store = states.objectstore_factory.store()
    with (
        runtime_api(states) as address,
        fleet_http_connection.http_request_response(
            server.address, insecure=True, authentication_keys=generate_key_pairs()
        ) as (node, receive, send, get_run, get_fab, pull_object, push_object, confirm),
    ):
        states.state().set_node_id(node)
        start_client_internal._pull_and_store_message(
            state=states.state(),
            object_store=store,
            node_config={},
            receive=receive,
            get_run=get_run,
            get_fab=get_fab,
            pull_object=pull_object,
            confirm_message_received=confirm,
            trusted_entities=None,
        )
        FlowerTask(None, hospital, acquire(address)).run()  # type: ignore[arg-type] - nothing is computed
        start_client_internal._push_messages(
            state=states.state(), object_store=store, send=send, push_object=push_object
        )
        assert len(store) == 0, "nothing of the message is left"  # type: ignore[arg-type]
    (reply,) = server.replies
    assert reply is None or known_reason(reply.reason)
    return reply


def acquire(address: str) -> ExecutionSpec:
    """Take the one task of a SuperNode, as the runner does."""
    interceptor = RuntimeVersionHttpInterceptor(component_name="SuperExec")
    with OwnRuntimeClient.from_server_address(address, True, None, [interceptor]) as client:
        given = client.AcquireTask(AcquireTaskRequest(supported_task_types=[TaskType.CLIENT_APP]))
    assert given.token, "the SuperNode has a task"
    return ExecutionSpec(TaskType.CLIENT_APP, address, given.token, True, None, False, None, False, given.task.task_id)
