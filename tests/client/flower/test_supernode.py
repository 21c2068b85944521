"""The SuperNode's process leaves the time of its last contact, depends on no disk for it, and bears a broken line."""

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from flwr.proto.heartbeat_pb2 import SendNodeHeartbeatRequest, SendNodeHeartbeatResponse
from flwr.supercore.retry import make_simple_http_retry_invoker
from flwr.supernode.fleet_http_client import FleetHttpClient

from client.flower.supernode import _retrying_broken_lines, _touching
from tests.client.preflight.certificates import Authority


def answered(self: Any, request: str) -> str:
    return f"answer to {request}"


def test_a_contact_leaves_its_time(tmp_path: Path) -> None:
    contact = tmp_path / "contact"
    contact.touch()
    os.utime(contact, (0, 0))
    assert _touching(answered, contact)(None, "heartbeat") == "answer to heartbeat"
    assert contact.stat().st_mtime > 0


def test_a_disk_that_takes_nothing_does_not_make_the_hospital_offline(tmp_path: Path) -> None:
    assert _touching(answered, tmp_path / "gone" / "contact")(None, "heartbeat") == "answer to heartbeat"


def test_a_call_that_failed_is_no_contact(tmp_path: Path) -> None:
    def refused(self: Any, request: str) -> str:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        _touching(refused, tmp_path / "contact")(None, "heartbeat")
    assert not (tmp_path / "contact").exists()


@pytest.fixture
def give_a_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Authority, Authority], Any]:
    """Sends a heartbeat, with Flower's own retries, to a server of one CA that first drops two handshakes."""
    monkeypatch.setattr(FleetHttpClient, "_unary_unary", _retrying_broken_lines(FleetHttpClient._unary_unary))
    listener = socket.create_server(("localhost", 0))

    def serve(context: ssl.SSLContext) -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.close()
        connection, _ = listener.accept()
        with contextlib.suppress(ssl.SSLError), context.wrap_socket(connection, server_side=True) as secured:
            secured.recv(65536)
            secured.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n")

    def send(issuer: Authority, trusted: Authority) -> Any:
        threading.Thread(target=serve, args=(issuer.server_context(tmp_path),), daemon=True).start()
        ca = trusted.write(tmp_path / "ca.crt").read_bytes()
        address = f"localhost:{listener.getsockname()[1]}"
        with FleetHttpClient.from_server_address(address, False, ca, interceptors=[]) as client:
            return make_simple_http_retry_invoker().invoke(client.SendNodeHeartbeat, SendNodeHeartbeatRequest())

    return send


def test_a_line_that_breaks_within_a_handshake_is_tried_again(
    give_a_sign: Callable[[Authority, Authority], Any],
) -> None:
    authority = Authority.make()
    assert give_a_sign(authority, authority) == SendNodeHeartbeatResponse()


def test_a_server_that_is_not_trusted_is_not_tried_again(give_a_sign: Callable[[Authority, Authority], Any]) -> None:
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        give_a_sign(Authority.make(), Authority.make())
