"""Ends the processes of a run and removes its temporary files, however its launcher ended.

It is a separate process and outlives even a `kill -9` of the launcher. It reads its standard input, whose other end
the launcher holds, so that the input ends when the launcher is done or dead. Then it kills all processes of the run,
which have a mark in their environment, and removes the temporary folder. It also removes the unfinished run folder,
unless that holds a finished training or round from which a run can resume, or the launcher asked to keep it, as it does
for a failed run.

It imports nothing large, because it starts with every run and stays until the run's end.
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
    """Starts the cleanup process and tells it what to remove.

    Use it as a context manager around everything that a run may leave behind. Leaving it waits until all is removed.

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
        """Have the unfinished run folder removed at the end, unless a run can resume from it."""
        self._say({"unfinished": str(unfinished)})

    def keep(self) -> None:
        """Have the unfinished run folder kept in any case, for diagnosis."""
        self._say({"keep": True})

    def _say(self, instruction: dict[str, str | bool]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(instruction) + "\n")
        self._process.stdin.flush()


def end_processes(mark: str, workplace: Path) -> None:
    """Kill all processes of a run, also those that left their parent's session.

    They get no time to end by themselves. Nothing is lost with them: a file that a run keeps gets its name only once it
    is complete.

    Parameters
    ----------
    mark : str
        Value of `MARK_VARIABLE` in their environment.
    workplace : Path
        The run's temporary folder, resolved.
    """
    deadline = time.monotonic() + _STOP_SECONDS
    # Repeatedly, since a process may have started another just before it was killed.
    while (processes := list(_processes_of(mark, workplace))) and time.monotonic() < deadline:
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(_POLL_SECONDS)


def _processes_of(mark: str, workplace: Path) -> Iterator[psutil.Process]:
    """Yield the running processes that have the mark, or whose working folder is in the run's temporary folder.

    Ray's agents overwrite their environment with a process title, but keep the working folder they were started in.
    Zombies do not count: they have ended, and a parent may never reap them.
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
        with contextlib.suppress(ValueError):  # half a line: the launcher was killed while it wrote
            said |= json.loads(line)
    end_processes(mark, Path(workplace).resolve())
    shutil.rmtree(workplace, ignore_errors=True)
    unfinished = said.get("unfinished")
    if unfinished and not said.get("keep") and not worth_resuming(Path(str(unfinished))):
        shutil.rmtree(str(unfinished), ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
