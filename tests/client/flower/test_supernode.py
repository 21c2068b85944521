"""The SuperNode's process leaves the time of its last contact, depends on no disk for it, and bears a broken line."""

import contextlib
import os
import resource
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

from client.flower.supernode import _limit_memory, _MessageBound, _retrying_broken_lines, _touching
from client.rules.policy import LEAST_MESSAGE
from common.processes.forking import fork
from tests.client.hospital import rules, write_hospital
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


def test_a_rule_that_is_changed_holds_from_the_next_message_on(tmp_path: Path) -> None:
    bound = _MessageBound(tmp_path / "hospital.yaml")
    assert bound() == LEAST_MESSAGE, "there is no file yet"
    given = {"rules": rules(megabytes_per_round=500).model_dump(mode="json")}
    file = write_hospital(tmp_path, tmp_path, **given).path
    assert bound().arrays == 500 * 10**6
    assert bound().objects > 500 / 6
    file.write_text("rules: [")
    assert bound().arrays == 500 * 10**6
    write_hospital(tmp_path, tmp_path, rules=rules(megabytes_per_round=0.5).model_dump(mode="json"))
    assert bound() == LEAST_MESSAGE
    write_hospital(tmp_path, tmp_path, rules=rules(megabytes_per_round=1e300).model_dump(mode="json"))
    assert bound().arrays == 10**12


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no other system bounds what a process maps")
def test_a_supernode_takes_no_more_memory_than_it_is_given() -> None:
    def take() -> None:
        held = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData"))
        _limit_memory(int(held.split()[1]) * 1024 + 100 * 2**20)
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] == resource.getrlimit(resource.RLIMIT_DATA)[1]
        bytearray(50 * 2**20)
        with pytest.raises(MemoryError):
            bytearray(200 * 2**20)

    assert os.waitstatus_to_exitcode(os.waitpid(fork(take, "supernode"), 0)[1]) == 0


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
