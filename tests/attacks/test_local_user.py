"""Another account on the server's machine, which has a shell and no more."""

import http.client
import json
import os
import ssl
import stat
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

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
from flwr.supercore.fab import Fab

from common.errors import RunError
from common.system.files import write_bytes_atomically
from server.flower.app_bundle import app_folder, build_bundle
from server.flower.nodes_and_runs import FINISHED
from server.members.server_folder import ServerFolder
from server.processes.start_checks import take_lock
from tests.server.federation_folder import RunningServer, make_folder, run_command, running_server
from tests.waiting import wait_for

NOBODY = 65534
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


def call_all(port: int, bodies: Mapping[str, bytes | None]) -> dict[str, int]:
    """Return by path the status with which a port of this machine answers."""
    found = {}
    for path, body in bodies.items():
        call = http.client.HTTPSConnection("127.0.0.1", port, context=ssl._create_unverified_context(), timeout=20)
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
