"""Tidies up after a run, however its launcher ended: a process of its own that outlives even `kill -9`.

It reads its standard input, whose other end the launcher holds: when the launcher is done or dead, the input ends. Then
the janitor ends every process that carries the run's mark in its environment, and removes the run's temporary folder.
It also discards the unfinished run folder, unless it holds a finished training that the next run can go on from, or the
launcher said "keep" before, as it does for a failed run.
"""

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from simulations.study.earlier_runs import worth_resuming

MARK_VARIABLE = "RAREFED_LAUNCH"
_STOP_SECONDS = 10


class Janitor:
    """The launcher's side: use as a context manager around everything that may leave something behind.

    Parameters
    ----------
    mark : str
        Value of `MARK_VARIABLE` in the environment of every process of the run.
    workplace : Path
        The run's temporary folder.
    unfinished : Path
        The run folder under its provisional name.
    """

    def __init__(self, mark: str, workplace: Path, unfinished: Path) -> None:
        command = [sys.executable, "-m", "simulations.launcher.cleanup", mark, str(workplace), str(unfinished)]
        # A session of its own, so that the terminal's Ctrl-C does not reach it.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, text=True)

    def __enter__(self) -> "Janitor":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def keep(self) -> None:
        """Let the unfinished run folder stay, for diagnosis."""
        assert self._process.stdin is not None
        self._process.stdin.write("keep\n")
        self._process.stdin.flush()


def end_processes(mark: str) -> None:
    """End every process that carries the mark, however it detached itself."""
    for send in (psutil.Process.terminate, psutil.Process.kill):
        processes = list(_marked(mark))
        for process in processes:
            with contextlib.suppress(psutil.Error):
                send(process)
        psutil.wait_procs(processes, timeout=_STOP_SECONDS)


def _marked(mark: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK_VARIABLE) == mark:
                yield process


def main(mark: str, workplace: str, unfinished: str) -> None:
    """Wait for the launcher's end, then tidy up."""
    said = sys.stdin.read()
    end_processes(mark)
    shutil.rmtree(workplace, ignore_errors=True)
    if "keep" not in said and not worth_resuming(Path(unfinished)):
        shutil.rmtree(unfinished, ignore_errors=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
