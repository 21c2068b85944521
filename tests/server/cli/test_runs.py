"""The commands that list, show and stop runs, with the server's answers invented."""

import json
from typing import Any

import pytest

from server.flower.control_api import Control
from server.members.server_folder import ServerFolder
from tests.server.cli.invented_server import Command, InventedServer
from tests.server.runs.written_run import entry, write_run


def test_the_run_that_goes_on_is_stopped_unless_another_is_named(command: Command, server: InventedServer) -> None:
    server.statuses = ["running"]
    assert command("stop")[:2] == (0, "run 7 stopped\n")
    assert command("stop", "5")[0] == 0
    assert server.stopped == [7, 5]
    server.statuses = ["completed"]
    code, _, err = command("stop")
    assert (code, err.count("\n")) == (1, 1)
    assert "no run goes on, so there is nothing to stop: `rarefed-server runs` lists" in err


def test_the_latest_log_is_shown_unless_another_is_named(command: Command, server: InventedServer) -> None:
    assert command("logs")[1] == "log of 7, shown\n"
    assert command("logs", "5", "--follow")[1] == "log of 5, followed\n"


def test_without_any_run_it_is_said_how_one_begins(
    command: Command, server: InventedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Control, "list_runs", lambda _: [])
    code, _, err = command("logs")
    assert (code, err) == (1, "error: there was no run so far: `rarefed-server run PLAN.toml` starts one\n")
    code, out, err = command("runs")
    assert (code, out) == (0, "")
    assert "`rarefed-server run PLAN.toml` starts one" in err
    assert command("runs", "--json")[1] == "[]\n"


def test_a_log_shows_no_traceback_and_says_where_it_stands(
    command: Command, server: InventedServer, monkeypatch: pytest.MonkeyPatch, folder: ServerFolder
) -> None:
    text = 'Traceback (most recent call last):\n  File "x.py", line 1\nKeyError: 3\n'
    monkeypatch.setattr(Control, "logs", lambda *_: iter([text]))
    where = folder.logs / "superexec.log"
    assert command("logs")[1] == f"error: KeyError: 3 (its traceback stands in {where})\n"
    assert json.loads(command("logs", "--json")[1])["lines"] == text.splitlines()


def test_runs_are_listed(command: Command, server: InventedServer, folder: ServerFolder) -> None:
    write_run(folder.root / "runs" / "20260101-120000-a", [entry(1)])
    assert "20260101-120000-a" in command("runs")[1]
    (only,) = json.loads(command("runs", "--json")[1])
    known: dict[str, Any] = {"id": 7, "status": "completed", "bytes_in": 2}
    assert known.items() <= only.items()
