"""The coordinator's commands around a run, with the server's answers invented."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from common.errors import InputError, RunError
from common.plan.groups import Scalar
from server.cli import main
from server.cli.runs import read_overrides
from server.flower.control_api import Control, Run
from server.members.server_folder import ServerFolder
from tests.server.federation_folder import make_folder
from tests.server.runs.written_run import entry, write_run

Command = Callable[..., tuple[int, str, str]]


class InventedServer:
    """Stands in for `Control`: every question about the run is answered with the next status."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statuses: list[str] = ["completed"]
        self.started: list[Mapping[str, Scalar]] = []
        self.stopped: list[int] = []
        for name in ("start_run", "run", "list_runs", "stop_run", "logs"):
            monkeypatch.setattr(Control, name, getattr(self, name))
        monkeypatch.setattr("server.runs.follow._LOOK_SECONDS", 0.0)

    def start_run(self, app_folder: Path, overrides: Mapping[str, Scalar]) -> int:
        assert (app_folder / "pyproject.toml").is_file()
        self.started.append(overrides)
        return 7

    def run(self, run_id: int) -> Run:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if status == "Ctrl-C":
            raise KeyboardInterrupt
        if status == "unreachable":
            raise RunError("cannot be reached")
        return Run(run_id, status, "out of memory" if status == "failed" else "", None, None, None, 1.0, 2, 3)

    def list_runs(self) -> list[Run]:
        return [self.run(7)]

    def stop_run(self, run_id: int) -> None:
        self.stopped.append(run_id)

    def logs(self, run_id: int, follow: bool = False) -> Iterator[str]:
        yield f"log of {run_id}, {'followed' if follow else 'shown'}\n"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> InventedServer:
    return InventedServer(monkeypatch)


@pytest.fixture
def folder(tmp_path: Path) -> ServerFolder:
    return make_folder(tmp_path / "federation")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text("[federation]\nrounds = 3\nlocal_epochs = 2\n[training]\nseed = 5\n")
    return path


@pytest.fixture
def command(folder: ServerFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setenv("RAREFED_SERVER_FOLDER", str(folder.root))

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["rarefed-server", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def test_only_what_differs_from_the_defaults_is_sent(plan: Path) -> None:
    assert read_overrides(plan, ["training.seed=9"]) == {"federation.rounds": 3, "training.seed": 9}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[federation]\nround = 3",
            "plan.toml: unknown plan key 'federation.round'; did you mean 'federation.rounds'?",
        ),
        ("[federation]\nrounds = 0", "plan.toml: plan key federation.rounds = 0"),
        ("[federation\n", "plan.toml: is no TOML"),
        ("rounds = 3", "plan.toml: rounds stands outside of a table"),
        ("[study]\noutput = 'here'", "consortium.yaml"),
        ("[study]\ndropout = 0.3", "plan.toml: study.dropout is the simulation's"),
        ("[study]\nhostile_sites = 1", "plan.toml: study.hostile_sites is the simulation's"),
        ("[study]\nhostile = 'flipped'", "plan.toml: study.hostile is the simulation's"),
        ("[study]\nfaults = 'none'", "plan.toml: study.faults is the simulation's"),
        ("[training.deep]\nseed = 3", "plan.toml: unknown plan key 'training.deep'"),
    ],
)
def test_a_wrong_plan_is_one_line_with_its_file(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_overrides(path, [])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_that_completes_is_followed_across_a_restart_of_the_server(
    command: Command, server: InventedServer, folder: ServerFolder, plan: Path
) -> None:
    run = write_run(folder.root / "runs" / "20260101-120000-a", [entry(1), entry(2)])
    (run / "summary.json").write_text('{"test": 1}')
    server.statuses = ["pending", "running", "unreachable", "running", "completed"]
    code, out, _ = command("run", plan)
    assert code == 0
    assert server.started == [{"federation.rounds": 3, "training.seed": 5}]
    assert [line for line in out.splitlines() if line.startswith("run 7")] == [
        *("run 7: pending", "run 7: running", "run 7: completed")
    ]
    assert "round 2/3" in out
    assert f"run folder: {run}" in out
    code, out, _ = command("run", plan, "--json")
    assert json.loads(out) == {
        **{"run_id": 7, "status": "completed", "details": "", "folder": str(run), "summary": {"test": 1}}
    }


def test_a_run_that_fails_is_an_error_with_its_reason(command: Command, server: InventedServer, plan: Path) -> None:
    server.statuses = ["failed"]
    code, _, err = command("run", plan)
    assert (code, err) == (1, "error: run 7 failed: out of memory\n")


def test_ctrl_c_leaves_the_run_and_says_how_to_end_it(command: Command, server: InventedServer, plan: Path) -> None:
    server.statuses = ["running", "Ctrl-C"]
    code, _, err = command("run", plan)
    assert code == 130
    assert "rarefed-server stop 7" in err
    assert server.stopped == []


def test_detached_it_returns_at_once(command: Command, server: InventedServer, plan: Path) -> None:
    server.statuses = ["Ctrl-C"]
    assert command("run", plan, "--detach")[:2] == (0, "run 7 started\n")
    assert json.loads(command("run", plan, "--detach", "--json")[1]) == {"run_id": 7}


def test_the_run_that_goes_on_is_stopped_unless_another_is_named(command: Command, server: InventedServer) -> None:
    server.statuses = ["running"]
    assert command("stop")[:2] == (0, "run 7 stopped\n")
    assert command("stop", "5")[0] == 0
    assert server.stopped == [7, 5]
    server.statuses = ["completed"]
    assert command("stop")[0] == 1


def test_the_latest_log_is_shown_unless_another_is_named(command: Command, server: InventedServer) -> None:
    assert command("logs")[1] == "log of 7, shown\n"
    assert command("logs", "5", "--follow")[1] == "log of 5, followed\n"


def test_runs_are_listed(command: Command, server: InventedServer, folder: ServerFolder) -> None:
    write_run(folder.root / "runs" / "20260101-120000-a", [entry(1)])
    assert "20260101-120000-a" in command("runs")[1]
    (only,) = json.loads(command("runs", "--json")[1])
    known: dict[str, Any] = {"id": 7, "status": "completed", "bytes_in": 2}
    assert known.items() <= only.items()


def test_the_hash_is_printed_for_hospital_yaml(command: Command) -> None:
    code, out, _ = command("app")
    assert code == 0
    assert len(out.strip()) == 64


def test_without_a_server_every_command_says_so(command: Command, plan: Path) -> None:
    for arguments in (("run", plan), ("runs",), ("logs",), ("stop",)):
        code, _, err = command(*arguments)
        assert code == 1
        assert "rarefed-server start" in err
        assert err.count("\n") == 1
    code, out, _ = command("status", "--json")
    assert code == 1
    assert json.loads(out)["running"] is False
