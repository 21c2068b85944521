"""Ends the processes of a run and removes its temporary files, however its launcher ended.

A process of its own, which outlives even a `kill -9` of the launcher. It reads its standard input, whose other end the
launcher holds, so that the input ends when the launcher is done or dead. Then it ends all processes of the run, known
by a mark in their environment, and removes the temporary folder. It also removes the unfinished run folder, unless that
holds a finished training from which a run can resume, or the launcher said "keep", as it does for a failed run.

It imports nothing large: it starts with every run and stays until its end.
"""

import contextlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from simulations.study.earlier_runs import worth_resuming

MARK_VARIABLE = "RAREFED_LAUNCH"
_STOP_SECONDS = 10
_POLL_SECONDS = 0.05


class CleanupProcess:
    """The launcher's handle on the cleanup process; use as a context manager around all that may be left behind.

    Parameters
    ----------
    mark : str
        Value of `MARK_VARIABLE` in the environment of all processes of the run.
    workplace : Path
        The run's temporary folder.
    """

    def __init__(self, mark: str, workplace: Path) -> None:
        # -P: nothing is imported from the user's working folder.
        command = [sys.executable, "-P", "-m", "simulations.launcher.cleanup", mark, str(workplace)]
        # A session of its own, so that the terminal's Ctrl-C does not reach it.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, text=True)

    def __enter__(self) -> "CleanupProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def remove_unless_resumable(self, unfinished: Path) -> None:
        """Name the unfinished run folder, which is removed at the end unless it is worth resuming."""
        self._say({"unfinished": str(unfinished)})

    def keep(self) -> None:
        """Leave the unfinished run folder where it is, for diagnosis."""
        self._say({"keep": True})

    def _say(self, instruction: dict[str, str | bool]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(instruction) + "\n")
        self._process.stdin.flush()


def end_processes(mark: str, workplace: Path) -> None:
    """Kill all processes of a run, however they detached themselves.

    They get no time to end by themselves: whatever a run keeps is renamed into place once it is whole, so that nothing
    is lost with a process that is killed.
    """
    deadline = time.monotonic() + _STOP_SECONDS
    # Again and again, for those that were started a moment before their parent was killed.
    while (processes := list(_processes_of(mark, workplace))) and time.monotonic() < deadline:
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(_POLL_SECONDS)


def _processes_of(mark: str, workplace: Path) -> Iterator[psutil.Process]:
    """Yield the living processes that have the mark or work in the run's temporary folder.

    Ray's agents overwrite their environment with a title, but stay in the folder that they were started in. A zombie
    has ended, whether its parent reaps it or not.
    """
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            marked = process.environ().get(MARK_VARIABLE) == mark or Path(process.cwd()).is_relative_to(workplace)
            if marked and process.status() != psutil.STATUS_ZOMBIE:
                yield process


def main(mark: str, workplace: str) -> None:
    """Wait for the launcher's end, then clean up."""
    said: dict[str, str | bool] = {}
    for line in sys.stdin:
        with contextlib.suppress(ValueError):  # of a launcher that was killed while it wrote
            said |= json.loads(line)
    end_processes(mark, Path(workplace).resolve())
    shutil.rmtree(workplace, ignore_errors=True)
    unfinished = said.get("unfinished")
    if unfinished and not said.get("keep") and not worth_resuming(Path(str(unfinished))):
        shutil.rmtree(str(unfinished), ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
