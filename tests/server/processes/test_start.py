"""`rarefed-server start` with real Flower processes: what it keeps up, what it refuses, what it leaves behind."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import create_autospec

import psutil
import pytest

from common.errors import InputError, RunError
from common.processes.program import ProgramState
from common.processes.supervisor import Supervisor
from common.system.ports import free_port
from server.flower.control_api import Control
from server.flower.nodes_and_runs import Run
from server.members.consortium import read_consortium
from server.members.server_folder import ServerFolder
from server.processes.programs import GATEWAY, SUPEREXEC, SUPERLINK, server_programs
from server.processes.start import _Server
from server.processes.start_checks import check_certificates, check_ports
from tests.server.federation_folder import (
    RunningServer,
    make_folder,
    new_public_key,
    read_hospital,
    run_command,
    running_server,
    write_certificates,
    write_consortium,
    write_hospital,
)
from tests.waiting import lives, wait_for

pytestmark = pytest.mark.slow

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = make_folder(tmp_path_factory.mktemp("supervisor") / "federation")
    with running_server(folder) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> ServerFolder:
    return make_folder(tmp_path / "federation")


def refused(folder: ServerFolder) -> str:
    """Return the one line by which `start` refuses."""
    done = run_command("start", "--folder", folder.root)
    assert done.returncode in (1, 2)
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_hospitals_are_registered_and_unregistered_as_the_registry_says(server: RunningServer) -> None:
    first, second = new_public_key(), new_public_key()
    write_hospital(server.folder, "invited", state="invited")
    write_hospital(server.folder, "alpha", state="approved", public_key=first)
    node_id = wait_for(lambda: read_hospital(server.folder, "alpha")["node_id"])
    with server.control() as control:
        assert [node.name for node in control.list_nodes()] == ["alpha"]
        # A hospital that enrols anew: the node of its former key goes.
        write_hospital(server.folder, "alpha", public_key=second, revoked_keys=[first], node_id=None)
        wait_for(lambda: read_hospital(server.folder, "alpha")["node_id"] not in (None, node_id))
        assert len(control.list_nodes()) == 1
        # Killed between registering and writing down: found again by its key.
        node_id = read_hospital(server.folder, "alpha")["node_id"]
        write_hospital(server.folder, "alpha", node_id=None)
        wait_for(lambda: read_hospital(server.folder, "alpha")["node_id"] == node_id)
        write_hospital(server.folder, "alpha", state="revoked", revoked_keys=[first, second])
        wait_for(lambda: read_hospital(server.folder, "alpha")["node_id"] is None)
        assert control.list_nodes() == []
    assert "hospital alpha: a revoked key, node" in server.output()


def test_a_key_that_flower_refuses_is_said_once_and_harms_no_other(server: RunningServer) -> None:
    write_hospital(server.folder, "bad", state="approved", public_key="nonsense")
    write_hospital(server.folder, "good", state="approved", public_key=new_public_key())
    wait_for(lambda: read_hospital(server.folder, "good")["node_id"])
    write_hospital(server.folder, "good", state="revoked")
    wait_for(lambda: read_hospital(server.folder, "good")["node_id"] is None)
    assert server.output().count("hospital bad: 'nonsense' is no OpenSSH public key") == 1
    (server.folder.hospitals / "bad.json").unlink()


@pytest.mark.parametrize("name", [SUPERLINK, SUPEREXEC])
def test_a_killed_process_comes_back_and_serves(server: RunningServer, name: str) -> None:
    pid = server.program(name)["pid"]
    os.kill(pid, signal.SIGKILL)
    server.wait_for_line(f"{name}: killed by SIGKILL")
    wait_for(lambda: server.program(name)["ready"] and server.program(name)["pid"] != pid)
    with server.control() as control:
        assert control.healthy()
        assert control.list_runs() == []


def test_a_new_database_gets_its_hospitals_again(server: RunningServer) -> None:
    write_hospital(server.folder, "gamma", state="approved", public_key=new_public_key())
    node_id = wait_for(lambda: read_hospital(server.folder, "gamma")["node_id"])
    for file in server.folder.superlink.glob("state.db*"):
        file.unlink()
    os.kill(server.program(SUPERLINK)["pid"], signal.SIGKILL)
    wait_for(lambda: read_hospital(server.folder, "gamma")["node_id"] != node_id)
    assert "hospital gamma: Flower does not know it any more" in server.output()
    with server.control() as control:
        assert [node.name for node in control.list_nodes()] == ["gamma"]


def test_status_shows_processes_and_hospitals(server: RunningServer) -> None:
    done = run_command("status", "--json", "--folder", server.folder.root)
    assert done.returncode == 0, done.stderr
    status = json.loads(done.stdout)
    assert status["running"]
    assert set(status["server"]["programs"]) == {SUPERLINK, SUPEREXEC}
    assert status["server"]["flower"].startswith("1.42.")
    drawn = run_command("status", "--folder", server.folder.root).stdout
    assert all(word in drawn for word in (SUPERLINK, "running", "invited"))


def test_a_second_server_on_the_same_folder_is_refused(server: RunningServer) -> None:
    assert "is running on" in refused(server.folder)


def test_sigterm_ends_everything(server: RunningServer) -> None:
    family = server.family()
    assert len(family) == 3
    server.stop()
    assert server.process.returncode == 0
    assert not any(lives(process) for process in family)
    assert server.output().endswith("stopped\n")
    assert (server.folder.logs / "server.log").read_text().count(" hospital ") == server.output().count("hospital ")
    assert not server.folder.status.exists()
    done = run_command("status", "--folder", server.folder.root)
    assert done.returncode == 1
    assert "not running" in done.stdout


def test_kill_9_leaves_no_process_and_the_next_start_works(folder: ServerFolder) -> None:
    with running_server(folder) as server:
        family = server.family()
        server.process.kill()
        server.process.wait()
        wait_for(lambda: not any(lives(process) for process in family), seconds=10)
    folder.root.chmod(0o755)
    with running_server(folder) as again:
        assert f"`chmod 700 {folder.root}`" in (folder.logs / "server.log").read_text()
        assert lives(psutil.Process(again.program(SUPERLINK)["pid"]))


def test_a_taken_port_is_named(folder: ServerFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.processes.start_checks._PORT_SECONDS", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        write_consortium(folder, superlink_port=port)
        said = refused(folder)
        assert f"cannot listen on 127.0.0.1 port {port} (Address already in use): stop" in said
        assert said.count("127.0.0.1") == 1
        write_consortium(folder, superlink_port=free_port(), gateway=True, port=port)
        with pytest.raises(RunError, match=r"change server\.port in consortium\.yaml"):
            check_ports(read_consortium(folder.consortium))


def test_certificates_that_are_missing_or_end_are_said(folder: ServerFolder) -> None:
    said: list[str] = []
    consortium = read_consortium(folder.consortium)
    check_certificates(folder, consortium, said.append, NOW)
    assert said == []
    write_certificates(folder, timedelta(days=20))
    check_certificates(folder, consortium, said.append, NOW)
    assert len(said) == 1
    assert "`rarefed-server renew`" in said[0]
    write_certificates(folder, timedelta(days=-2))
    assert "`rarefed-server renew`" in refused(folder)
    folder.key("loopback").unlink()
    with pytest.raises(InputError, match=r"loopback\.key is missing"):
        check_certificates(folder, consortium, said.append, NOW)


def test_a_running_server_looks_at_its_certificates_daily(folder: ServerFolder) -> None:
    said: list[str] = []
    consortium = read_consortium(folder.consortium)
    with RunningServer(folder).control() as control:
        server = _Server(folder, consortium, control, create_autospec(Supervisor), said.append)
    now = datetime.now(UTC)
    write_certificates(folder, timedelta(days=20))
    server.check_certificates(now + timedelta(hours=23))
    assert said == []
    for days in (1, 1.5, 2, 21):
        server.check_certificates(now + timedelta(days=days, minutes=1))
    assert [" expires on " in line for line in said] == [True, True, False]
    assert " expired on " in said[2]


def test_a_folder_without_a_federation_is_said(tmp_path: Path) -> None:
    assert "holds no federation" in refused(ServerFolder(tmp_path))


def test_the_gateway_stands_before_the_superlink_and_nothing_is_insecure(folder: ServerFolder) -> None:
    write_consortium(folder, superlink_port=9191, gateway=True, port=8553)
    consortium = read_consortium(folder.consortium)
    with RunningServer(folder).control() as control:
        programs = {program.name: program for program in server_programs(folder, consortium, control)}
    command = list(programs[GATEWAY].command)[1:]
    assert command[:7] == ["-P", "-m", "server.gateway", "--listen", "127.0.0.1", "--port", "8553"]
    assert command[7:9] == ["--upstream", "https://127.0.0.1:9191"]
    assert not any("insecure" in word for program in programs.values() for word in program.command)
    assert (folder.superlink / "superexec.secret").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("statuses", "restarted"), [(["pending"], True), (["pending", "running"], False), (["failed"], False), ([], False)]
)
def test_a_superexec_that_takes_no_run_is_started_again_unless_one_goes_on(
    folder: ServerFolder, statuses: list[str], restarted: bool
) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    control, supervisor = create_autospec(Control, instance=True), create_autospec(Supervisor, instance=True)
    control.list_nodes.return_value = []
    control.list_runs.return_value = [
        Run(number, status, "", past, None, None, 0.0, 0, 0) for number, status in enumerate(statuses)
    ]
    states = [ProgramState(name, 1, True, 0, past.timestamp(), None) for name in (SUPERLINK, SUPEREXEC)]
    supervisor.states.return_value = states
    supervisor.state.side_effect = {state.name: state for state in states}.__getitem__
    said: list[str] = []
    _Server(folder, read_consortium(folder.consortium), control, supervisor, said.append).tick()
    assert supervisor.restart.called == restarted
    if restarted:
        supervisor.restart.assert_called_once_with(SUPEREXEC, "run 0 waits for more than 30 s")
    assert said[0].startswith("started: listening on 127.0.0.1:")
