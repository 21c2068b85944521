"""A hundred rounds: no process grows, and none leaves files or processes behind."""

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from tests.faults.harness import ALL_MUST, HOSPITALS, Stage, rounds_of, stage

pytestmark = [pytest.mark.slow, pytest.mark.exhaustive]

ROUNDS = 100
PLAN: dict[str, Any] = ALL_MUST | {"federation.rounds": ROUNDS, "data.size": 32, "model.freeze": "all"}
# Processes that live through the whole run; those of tasks and trainings live for one message.
KINDS = ("server", "gateway", "superlink", "superexec", "serverapp")
OF_HOSPITALS = ("daemon", "supernode", "runner")


class Watch:
    """Notes, round by round, what every lasting process holds."""

    def __init__(self, theatre: Stage) -> None:
        self.memory: dict[str, list[float]] = defaultdict(list)
        self.files: dict[str, list[int]] = defaultdict(list)
        self.processes: list[int] = []
        self._theatre = theatre

    def look(self, processes: dict[str, psutil.Process]) -> None:
        for name, process in processes.items():
            with contextlib.suppress(psutil.NoSuchProcess):
                self.memory[name].append(process.memory_full_info().uss / 2**20)
                self.files[name].append(process.num_fds())
        server = psutil.Process(self._theatre.rehearsal.processes.process_id("server"))
        self.processes.append(len(server.children(recursive=True)))


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Watch, Path, Stage]]:
    with stage(tmp_path_factory.mktemp("soak")) as theatre:
        before, watch, over = theatre.folders(), Watch(theatre), threading.Event()
        theatre.launch(PLAN)
        while not theatre.processes("serverapp"):
            time.sleep(0.2)
        lasting = {kind: theatre.processes(kind)[0] for kind in KINDS}
        for hospital in HOSPITALS:
            lasting |= {f"{hospital} {kind}": theatre.processes(kind, hospital)[0] for kind in OF_HOSPITALS}

        def keep_looking() -> None:
            while not over.wait(1):
                watch.look(lasting)

        thread = threading.Thread(target=keep_looking)
        thread.start()
        try:
            folder, resumed = theatre.finish(before, seconds=900)
        finally:
            over.set()
            thread.join()
        assert resumed == 0
        yield watch, folder, theatre


@pytest.mark.timeout(1200)
def test_all_rounds_are_over(watched: tuple[Watch, Path, Stage]) -> None:
    _, folder, _ = watched
    entries = rounds_of(folder)
    assert len(entries) == ROUNDS
    assert all(sorted(entry["sites"]) == sorted(HOSPITALS) for entry in entries)


def thirds(values: list[Any]) -> tuple[float, float]:
    """Return the medians of the middle and of the last third."""
    middle, last = np.array_split(values, 3)[1:]
    return float(np.median(middle)), float(np.median(last))


def test_no_process_grows(watched: tuple[Watch, Path, Stage]) -> None:
    watch, _, _ = watched
    told = {}
    for name, values in sorted(watch.memory.items()):
        middle, last = thirds(values)
        print(f"{name:20} {values[0]:7.1f} MB at first, {middle:7.1f} MB middle third, {last:7.1f} MB last third")
        if last > 1.05 * middle:
            told[name] = (middle, last)
    assert not told


def test_no_process_leaks_files_or_processes(watched: tuple[Watch, Path, Stage]) -> None:
    watch, folder, theatre = watched
    for name, values in watch.files.items():
        middle, last = thirds(values)
        assert last <= middle + 2, name
    middle, last = thirds(watch.processes)
    assert last <= middle
    assert not list(theatre.rehearsal.folder.rglob("*.part"))
    assert not (folder / "checkpoints" / "rounds" / "federation").exists()
    for hospital in HOSPITALS:
        assert len(list((theatre.rehearsal.hospitals[hospital].folder / "state" / "replies").iterdir())) <= 3
