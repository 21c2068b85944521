"""The Control API against a real server, and what is said when there is none."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import InputError, RunError
from common.system.ports import free_port
from server.flower.app_bundle import app_folder
from server.flower.control_api import Control
from server.flower.node_key import key_bytes
from server.flower.nodes_and_runs import FINISHED
from server.runs.readable_log import readable_lines
from tests.server.federation_folder import RunningServer, make_folder, new_public_key
from tests.server.federation_folder import running_server as serve
from tests.waiting import wait_for


@pytest.fixture(scope="module")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serve(make_folder(tmp_path_factory.mktemp("control") / "federation")) as server:
        yield server


@pytest.fixture
def control(running_server: RunningServer) -> Iterator[Control]:
    with running_server.control() as connected:
        yield connected


def test_a_hospital_comes_and_goes_and_its_key_does_not_come_back(control: Control) -> None:
    key = new_public_key()
    node_id = control.register(key, "beta")
    (node,) = [node for node in control.list_nodes() if node.id == node_id]
    assert (node.name, node.key, node.status, node.activated) == ("beta", key_bytes(key), "registered", None)
    assert node.registered is not None
    with pytest.raises(RunError, match="the server refused: Public key already in use"):
        control.register(key, "beta")
    control.unregister(node_id)
    assert node_id not in [node.id for node in control.list_nodes()]
    with pytest.raises(RunError, match="refused"):
        control.register(key, "beta")
    with pytest.raises(RunError, match="refused"):
        control.unregister(node_id)


def test_a_run_that_fails_is_known_as_failed(control: Control, tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    text = (app_folder() / "pyproject.toml").read_text().replace("server.app:app", "server.another:app")
    (app / "pyproject.toml").write_text(text)
    run_id = control.start_run(app, {"federation.rounds": 3, "training.learning_rate": 0.1, "data.denoise": "none"})
    assert control.run(run_id).status in ("pending", "starting", "running")
    followed = "".join(control.logs(run_id, follow=True))
    run = wait_for(lambda: control.run(run_id) if control.run(run_id).status in FINISHED else None)
    assert run.status == "failed"
    assert "another app than the installed one" in run.details
    assert "another app than the installed one" in followed
    assert "\x1b" not in followed
    assert "Traceback" in followed
    (told,) = [line for line in readable_lines([followed], "the file") if line.strip()]
    assert told.startswith("error: this run brought another app than the installed one")
    assert run.started < run.finished
    assert 0 < run.seconds < 60
    assert control.list_runs()[0] == run
    assert "another app than the installed one" in "".join(control.logs(run_id))
    with pytest.raises(RunError, match="refused"):
        control.stop_run(run_id)


def test_what_does_not_exist_is_refused_in_one_line(control: Control) -> None:
    for call in (lambda: control.run(7), lambda: control.stop_run(7), lambda: list(control.logs(7, follow=True))):
        with pytest.raises(RunError, match=r"Run ID not found.*`rarefed-server runs` lists") as caught:
            call()
        assert "\n" not in str(caught.value)
    with pytest.raises(RunError, match="refused"):
        control.start_run(app_folder(), {"federation.no_such_key": 3})


def test_without_a_server_the_command_that_starts_it_is_named(running_server: RunningServer, tmp_path: Path) -> None:
    with Control(f"127.0.0.1:{free_port()}", running_server.folder.certificate("ca"), tmp_path / "none") as control:
        assert not control.healthy()
        with pytest.raises(RunError, match=r"cannot be reached .*rarefed-server start"):
            control.list_nodes()


def test_another_ca_is_not_trusted(running_server: RunningServer, tmp_path: Path) -> None:
    other = make_folder(tmp_path / "other")
    address = running_server.control()._address
    with Control(address, other.certificate("ca"), running_server.folder.operator_secret) as control:
        assert not control.healthy()
        with pytest.raises(RunError, match="CERTIFICATE_VERIFY_FAILED"):
            control.list_runs()
    with pytest.raises(InputError, match=r"nothing\.crt: cannot be used .*: put it back from a backup"):
        Control(address, tmp_path / "nothing.crt", tmp_path / "none")


def test_an_app_that_cannot_be_built_is_named(control: Control, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no Flower app can be built"):
        control.start_run(tmp_path, {})


@pytest.mark.parametrize("proxy", ["http://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_the_server_is_reached_whatever_proxies_the_shell_names(
    running_server: RunningServer, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with running_server.control() as control:
        assert control.healthy()
        assert isinstance(control.list_nodes(), list)
    assert os.environ["ALL_PROXY"] == proxy
