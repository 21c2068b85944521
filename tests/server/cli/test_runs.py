"""The commands that list, show and stop runs, with the server's answers invented."""

import json
from typing import Any

from server.members.server_folder import ServerFolder
from tests.server.cli.invented_server import Command, InventedServer
from tests.server.runs.written_run import entry, write_run


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
