"""The gateway with Flower's own ends: a real SuperLink behind it, and the client of a SuperNode in front of it."""

import contextlib
import os
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StreamLogsRequest,
)
from flwr.proto.fleet_pb2 import ActivateNodeRequest, PullMessagesRequest, RegisterNodeFleetRequest
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest
from flwr.proto.node_pb2 import Node
from flwr.supercore.control import ControlHttpClient
from flwr.supercore.interceptors.http.runtime_version import RuntimeVersionHttpInterceptor
from flwr.supercore.primitives.asymmetric import generate_key_pairs, public_key_to_bytes
from flwr.supercore.retry import make_simple_http_retry_invoker
from flwr.supernode.fleet_http_client import FleetHttpClient
from flwr.supernode.node_auth_http_interceptor import NodeAuthHttpInterceptor

from common.system.offline_environment import OFFLINE_ENVIRONMENT
from common.system.ports import free_port
from tests.server.gateway.certificates import Authority
from tests.server.gateway.door import gateway_for, upstream_with
from tests.waiting import wait_for

# Flower's client names its CA by a path.
pytestmark = [pytest.mark.filterwarnings("ignore:`verify=<str>`:DeprecationWarning"), pytest.mark.timeout(90)]


def node(port: int, authority: Authority, keys: tuple[ec.EllipticCurvePrivateKey, ec.EllipticCurvePublicKey]):
    """Return the client that a SuperNode with these keys has."""
    interceptors = [RuntimeVersionHttpInterceptor(component_name="SuperNode"), NodeAuthHttpInterceptor(*keys)]
    return FleetHttpClient.from_server_address(f"127.0.0.1:{port}", False, str(authority.path), interceptors)


def pair_of(authority: Authority, hospital: str):
    key = authority.members.keys[hospital]
    return key, key.public_key()


@contextlib.contextmanager
def superlink(authority: Authority, folder: Path):
    """Run a SuperLink as in production and return its port."""
    port = free_port()
    certificate, key = authority.issue("superlink")
    secret = folder / "secret"
    secret.write_bytes(os.urandom(32))
    process = subprocess.Popen(
        [
            *(str(Path(sys.executable).with_name("flower-superlink")), "--host", "127.0.0.1", "--port", str(port)),
            *("--ssl-ca-certfile", str(authority.path), "--ssl-certfile", str(certificate), "--ssl-keyfile", str(key)),
            *("--isolation", "process", "--superexec-auth-secret-file", str(secret), "--enable-supernode-auth"),
            *("--database", str(folder / "state.db")),
        ],
        cwd=folder,
        env={**os.environ, **OFFLINE_ENVIRONMENT, "FLWR_HOME": str(folder / "home")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(60)


def status_of(call, request) -> int:
    """Make a call and return the status it got."""
    try:
        response = call(request)
        if isinstance(request, StreamLogsRequest):
            next(response)
    except httpx.HTTPStatusError as error:
        return error.response.status_code
    return 200


def refusal_of(call, request) -> tuple[int, object]:
    """Make a call and return the status and the JSON of its refusal."""
    with pytest.raises(httpx.HTTPStatusError) as refusal:
        call(request)
    return refusal.value.response.status_code, refusal.value.response.json()


def test_hospitals_reach_the_fleet_and_nothing_else(authority, tmp_path):
    known, unknown = generate_key_pairs(), generate_key_pairs()
    authority.members.approve("north", known[0])
    with superlink(authority, tmp_path) as port, gateway_for(port, authority, tmp_path / "log") as door:
        while door.call("/health", b"", "GET").status != 200:
            time.sleep(0.3)

        def control(at: int) -> ControlHttpClient:
            return ControlHttpClient.from_server_address(f"127.0.0.1:{at}", False, str(authority.path), [])

        with (
            control(port) as coordinator,
            control(door.port) as intruder,
            node(door.port, authority, known) as hospital,
        ):
            # What follows is refused by the gateway: the SuperLink itself would do it for anyone.
            assert (
                status_of(intruder.RegisterNode, RegisterNodeRequest(public_key=public_key_to_bytes(unknown[1]))) == 404
            )
            assert status_of(intruder.StartRun, StartRunRequest()) == 404
            assert status_of(intruder.StreamLogs, StreamLogsRequest(run_id=1)) == 404
            assert status_of(intruder.ListNodes, ListNodesRequest()) == 404
            assert status_of(intruder.ListRuns, ListRunsRequest()) == 404
            assert not coordinator.ListNodes(ListNodesRequest()).nodes_info
            assert status_of(hospital.RegisterNode, RegisterNodeFleetRequest()) == 404

            coordinator.RegisterNode(RegisterNodeRequest(public_key=public_key_to_bytes(known[1])))
            activate = ActivateNodeRequest(public_key=public_key_to_bytes(known[1]), heartbeat_interval=30)
            activated = Node(node_id=hospital.ActivateNode(activate).node_id)
            assert activated.node_id
            assert hospital.SendNodeHeartbeat(SendNodeHeartbeatRequest(node=activated, heartbeat_interval=30)).success
            assert not hospital.PullMessages(PullMessagesRequest(node=activated)).messages_list

            with node(door.port, authority, unknown) as stranger:
                assert status_of(stranger.PullMessages, PullMessagesRequest(node=activated)) == 401
                # Word for word what the SuperLink says, by which a hospital's daemon knows that its key was refused.
                claim = ActivateNodeRequest(public_key=public_key_to_bytes(unknown[1]), heartbeat_interval=30)
                with node(port, authority, unknown) as inside:
                    assert refusal_of(stranger.ActivateNode, claim) == refusal_of(inside.ActivateNode, claim)

            authority.members.registry.revoke("north")
            pull = partial(status_of, hospital.PullMessages, PullMessagesRequest(node=activated))
            wait_for(lambda: pull() == 401, "a revoked hospital to be shut out", 5)


def test_a_supernode_waits_out_the_rate_limit(authority, tmp_path):
    with (
        upstream_with(authority) as upstream,
        gateway_for(upstream.port, authority, tmp_path / "log", burst=1, rate=1) as door,
        node(door.port, authority, pair_of(authority, "south")) as hospital,
    ):
        upstream.body = b""
        for _ in range(3):
            make_simple_http_retry_invoker().invoke(hospital.PullMessages, PullMessagesRequest())
        assert "too many requests a second" in door.log.read_text()


@pytest.mark.parametrize(("status", "tries_again"), [(503, True), (429, False), (413, False), (500, False)])
def test_what_a_supernode_makes_of_a_refusal(authority, status, tries_again):
    """Why the gateway never answers 429: whoever gives up here, in Flower 1.42, no longer asks for messages."""
    with upstream_with(authority) as upstream, node(upstream.port, authority, generate_key_pairs()) as hospital:
        upstream.status, upstream.body = status, b""
        invoker = make_simple_http_retry_invoker()
        invoker.max_tries = 2
        with pytest.raises(httpx.HTTPStatusError):
            invoker.invoke(hospital.PullMessages, PullMessagesRequest())
        assert len(upstream.requests) == (2 if tries_again else 1)
