"""A server whose answers about a run are invented."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from common.errors import RunError
from common.plan.groups import Scalar
from server.flower.control_api import Control
from server.flower.nodes_and_runs import Run

Command = Callable[..., tuple[int, str, str]]


class InventedServer:
    """Stands in for `Control`: every question about the run is answered with the next status."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statuses: list[str] = ["completed"]
        self.started: list[Mapping[str, Scalar]] = []
        self.stopped: list[int] = []
        self.before: str | None = None  # status of another run, which was there before
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
        if self.before is None:
            return [self.run(7)]
        return [Run(6, self.before, "", None, None, None, 1.0, 2, 3)]

    def stop_run(self, run_id: int) -> None:
        self.stopped.append(run_id)

    def logs(self, run_id: int, follow: bool = False) -> Iterator[str]:
        yield f"log of {run_id}, {'followed' if follow else 'shown'}\n"
