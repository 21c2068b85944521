"""Another account on the server's machine, or on a hospital's, which has a shell and no more."""

import http.client
import json
import os
import signal
import socket
import ssl
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from flwr.common.serde import fab_to_proto
from flwr.proto.control_pb2 import (
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    UnregisterNodeRequest,
)
from flwr.proto.runtime_pb2 import AcquireTaskRequest, PullTaskInputRequest
from flwr.supercore.fab import Fab
from flwr.supercore.object_store import ObjectStoreFactory
from flwr.supercore.superexec.executor import ExecutionSpec
from flwr.supernode.nodestate import NodeStateFactory

from client.daemon.daemon import Daemon
from client.daemon.runtime_port import port_problem
from client.flower.own_supernode import OwnRuntimeClient
from client.rules.hospital_file import HospitalFile
from client.runner.runner import FlowerTask
from client.runner.runner import main as runner_main
from common.errors import RunError
from common.security.secret_file import write_secret
from common.system.files import write_bytes_atomically
from common.system.ports import free_ports
from server.flower.app_bundle import app_folder, build_bundle
from server.flower.nodes_and_runs import FINISHED
from server.members.server_folder import ServerFolder
from server.processes.start_checks import take_lock
from tests.attacks.hostile_server import runtime_api
from tests.attacks.other_account import NOBODY, Impostor
from tests.client.hospital import write_hospital, write_node_key
from tests.server.federation_folder import RunningServer, make_folder, run_command, running_server
from tests.waiting import wait_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become another user")


def as_nobody(act: Callable[[], Any]) -> Any:
    """Return what a function returns in a process of another account; what it needs must be imported already."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writing, json.dumps(act()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        told = stream.read()
    os.waitpid(child, 0)
    return json.loads(told)


unverified = partial(http.client.HTTPSConnection, context=ssl._create_unverified_context())


def call_all(
    port: int, bodies: Mapping[str, bytes | None], connect: Callable[..., http.client.HTTPConnection] = unverified
) -> dict[str, int]:
    """Return by path the status with which a port of this machine answers."""
    found = {}
    for path, body in bodies.items():
        call = connect("127.0.0.1", port, timeout=20)
        headers = {"content-type": "application/protobuf", "flwr-runtime-version": "1.42.0"}
        call.request("GET" if body is None else "POST", path, body, headers)
        found[path] = call.getresponse().status
    return found


def can_read(path: Path) -> bool:
    try:
        return bool(path.read_bytes())
    except OSError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(make_folder(tmp_path_factory.mktemp("server") / "federation")) as running:
        yield running


def hostile_app(folder: Path, mark: Path) -> Path:
    """Write a Flower app whose code leaves a mark wherever it is run."""
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "hostile"\nversion = "1.0"\ndependencies = []\n'
        '[tool.flwr.app]\npublisher = "x"\n'
        '[tool.flwr.app.components]\nserverapp = "hostile:app"\nclientapp = "hostile:app"\n'
    )
    (folder / "hostile.py").write_text(f"open({str(mark)!r}, 'w').close()\nfrom flwr.serverapp import ServerApp\n")
    return folder


@needs_root
def test_who_reaches_the_superlink_from_another_account_gets_nothing(server: RunningServer, tmp_path: Path) -> None:
    bundle = build_bundle(hostile_app(tmp_path / "app", tmp_path / "mark"))
    requests = {
        "start-run": StartRunRequest(fab=fab_to_proto(Fab("0" * 64, bundle, {}))),
        "list-runs": ListRunsRequest(),
        "stop-run": StopRunRequest(run_id=1),
        "register-node": RegisterNodeRequest(public_key=b"x", name="mine"),
        "unregister-node": UnregisterNodeRequest(node_id=1),
    }
    bodies: dict[str, bytes | None] = {
        f"/v1/control/{name}": body.SerializeToString() for name, body in requests.items()
    }
    paths = ("//v1/control/list-runs", "/v1/fleet/../control/list-runs")
    bodies |= dict.fromkeys((*paths, "/v1/runtime/acquire-task", "/v1/runtime/pull-task-input"), b"")
    bodies |= dict.fromkeys(("/docs", "/openapi.json", "/health"))
    with server.control() as control:
        port = int(control._address.rpartition(":")[2])
        answers = as_nobody(lambda: call_all(port, bodies))
        assert answers.pop("/health") == 200
        assert all(status in (401, 403, 404) for status in answers.values()), answers
        assert {answers[path] for path in bodies if path.startswith("/v1/control/")} == {403}
        assert control.list_runs() == []
        assert control.list_nodes() == []
    folder = server.folder
    for path in (folder.operator_secret, folder.superlink / "state.db", folder.logs / "server.log"):
        assert can_read(path)
        assert not as_nobody(partial(can_read, path))


def test_a_run_with_another_bundle_than_the_installed_one_runs_no_code(server: RunningServer, tmp_path: Path) -> None:
    """Even for whoever has the secret."""
    with server.control() as control:
        run = control.start_run(hostile_app(tmp_path / "app", tmp_path / "mark"), {})
        wait_for(lambda: control.run(run).status in FINISHED)
        assert control.run(run).status == "failed"
        assert "another app than the installed one" in control.run(run).details
    assert not (tmp_path / "mark").exists()
    assert not list((server.folder.superlink).rglob("hostile.py"))


def words_of(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_no_process_of_a_run_shows_its_token(server: RunningServer) -> None:
    with server.control() as control:
        run = control.start_run(app_folder(), {"federation.wait_seconds": 20})
        seen: list[list[str]] = []

        def running() -> bool:
            listed = [words_of(each) for each in server.family()]
            seen[:] = [words for words in listed if "server.flower.serverapp" in words]
            return bool(seen) and control.run(run).status == "running"

        wait_for(running)
        assert not any("token" in word for words in seen for word in words)
        control.stop_run(run)


def test_files_are_their_users_alone_from_the_first_moment(tmp_path: Path) -> None:
    (tmp_path / "consortium.yaml").write_text("name: demo\nserver: {host: fl.example.org}\nhospitals: [{name: east}]\n")
    old = os.umask(0o022)
    try:
        made = run_command("provision", tmp_path / "consortium.yaml", "--folder", tmp_path / "federation")
    finally:
        os.umask(old)
    assert made.returncode == 0, made.stderr
    for path in (tmp_path / "federation", *(tmp_path / "federation").rglob("*")):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077, path


def test_an_atomic_write_keeps_the_umask_and_is_never_wider(tmp_path: Path) -> None:
    for umask, mode in ((0o077, 0o600), (0o022, 0o644), (0o027, 0o640)):
        old = os.umask(umask)
        try:
            write_bytes_atomically(tmp_path / "it", b"x")
        finally:
            os.umask(old)
        assert stat.S_IMODE((tmp_path / "it").stat().st_mode) == mode


def test_the_lock_of_the_server_can_be_held_by_no_other_account(tmp_path: Path) -> None:
    folder = ServerFolder(tmp_path)
    folder.lock.touch(mode=0o666)
    folder.lock.chmod(0o666)  # as an earlier version left it
    with take_lock(folder):
        assert stat.S_IMODE(folder.lock.stat().st_mode) == 0o600
    with take_lock(folder), pytest.raises(RunError, match="already"):
        take_lock(folder)


# A hospital's machine.


@pytest.fixture
def hospital(tmp_path: Path) -> HospitalFile:
    ports = dict(zip(("runtime", "health"), free_ports(2), strict=True))
    return write_hospital(tmp_path, tmp_path, ports=ports)


@needs_root
def test_the_runner_sends_nothing_to_another_accounts_supernode(hospital: HospitalFile) -> None:
    """It asked for a task, took a TRAIN from there, and answered with an update of the images."""
    secret, log = hospital.state / "runner.secret", hospital.state / "runner.log"
    write_secret(secret)
    with Impostor(hospital.ports.runtime) as impostor:
        runner = os.fork()
        if not runner:  # as the daemon starts it, without the seconds of imports
            sys.argv = ["runner", "--file", str(hospital.path), "--secret", str(secret)]
            with log.open("w") as sys.stderr:
                runner_main()
            os._exit(1)
        try:
            assert impostor.next_words() == "nothing"
            told = wait_for(log.read_text)
        finally:
            os.kill(runner, signal.SIGKILL)
            os.waitpid(runner, 0)
    assert f"nothing is sent to port {hospital.ports.runtime}" in told
    assert f"(uid {NOBODY})" in told


@needs_root
@pytest.mark.parametrize("late", [0.0, 0.3])
def test_a_task_takes_nothing_from_another_accounts_supernode(hospital: HospitalFile, late: float) -> None:
    """Nor while nobody has accepted the connection, which a kernel may call root's."""
    address = f"127.0.0.1:{hospital.ports.runtime}"
    spec = ExecutionSpec("flwr-clientapp", address, "the token", True, None, False, None, False, 1)  # type: ignore[arg-type]
    task = FlowerTask(None, hospital, spec)  # type: ignore[arg-type] - nothing is computed
    task._client._retry_invoker.max_tries = 1  # type: ignore[union-attr]
    with Impostor(hospital.ports.runtime, late) as impostor:
        with pytest.raises(httpx.ConnectError, match="nothing was sent"):
            task._client.PullTaskInput(PullTaskInputRequest())
        assert impostor.next_words() == "nothing"


@needs_root
def test_a_port_that_changes_hands_is_noticed(hospital: HospitalFile) -> None:
    """A SuperNode may end, and its port be taken, between any two calls."""
    port = hospital.ports.runtime
    with OwnRuntimeClient.from_server_address(f"127.0.0.1:{port}", True, None, []) as client:
        with socket.create_server(("127.0.0.1", port)) as own:
            threading.Thread(target=answer_once, args=(own,)).start()
            assert not client.AcquireTask(AcquireTaskRequest()).token
        with Impostor(port) as impostor, pytest.raises(httpx.ConnectError):
            client.AcquireTask(AcquireTaskRequest())
        assert impostor


def test_the_supernode_gives_no_task_to_who_does_not_know_the_runners_secret() -> None:
    states = NodeStateFactory(objectstore_factory=ObjectStoreFactory())
    with runtime_api(states, b"s" * 32) as address:
        port = int(address.rpartition(":")[2])
        calls = ("acquire-task", "pull-task-input", "pull-messages", "pull-object", "push-messages", "push-object")
        found = call_all(port, {f"/v1/runtime/{call}": b"" for call in calls}, http.client.HTTPConnection)
    assert set(found.values()) <= {401, 403}, found


def answer_once(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        assert connection.recv(4096).startswith(b"POST /v1/runtime/acquire-task")
        connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        connection.recv(1)


@needs_root
def test_who_holds_a_port_of_the_hospital_is_named_at_the_start(hospital: HospitalFile) -> None:
    write_node_key(hospital.node_key)
    hospital.ca_certificate.write_text("certificate")
    with Impostor(hospital.ports.runtime), pytest.raises(RunError, match=rf"taken by user \w+ \(uid {NOBODY}\)"):
        Daemon(hospital, print).run()


@needs_root
@pytest.mark.parametrize("supernode_runs", [True, False])
def test_who_holds_the_port_of_the_supernode_is_named_while_the_daemon_runs(
    hospital: HospitalFile, supernode_runs: bool
) -> None:
    port = hospital.ports.runtime
    with Impostor(port):
        told = port_problem(port, supernode_runs)
    assert told is not None
    assert f"port {port}," in told
    assert f"(uid {NOBODY})" in told
    assert port_problem(port, supernode_runs) is None
