"""The background processes of a local federation."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from common.errors import RunError
from common.processes.interruption import hold_interrupts
from common.processes.process_group import OrphanKiller
from simulations.local_federation.terminal import Terminal

_START_SECONDS = 120
_STOP_SECONDS = 90
_POLL_SECONDS = 0.3


class LocalProcesses:
    """The background processes by their owner, "server" or a hospital; each owner has at most one.

    Parameters
    ----------
    folder : Path
        Gets one file `<owner>.out` per process, with what it prints.
    say : callable
        Takes one line per process that `stop` has stopped.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self._folder = folder
        self._say = say
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        # So that nothing stays alive if this process is killed.
        self._orphans = OrphanKiller()

    @property
    def running(self) -> tuple[str, ...]:
        """The owners of the processes."""
        return tuple(self._processes)

    def start(self, owner: str, terminal: Terminal, *command: str) -> None:
        """Start a command in the background."""
        with (self._folder / f"{owner}.out").open("ab") as log, hold_interrupts():
            self._processes[owner] = terminal.start(*command, log=log)
            self._orphans.watch(self._processes[owner].pid)

    def log(self, owner: str) -> str:
        """Return what a process has printed."""
        return (self._folder / f"{owner}.out").read_text()

    def process_id(self, owner: str) -> int:
        """Return the id of a process."""
        return self._processes[owner].pid

    def kill(self, owner: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a process and wait for its end."""
        process = self._processes.pop(owner)
        process.send_signal(number)
        process.wait(_STOP_SECONDS)
        self._orphans.forget(process.pid)

    def wait_for(self, what: str, done: Callable[[], bool]) -> None:
        """Wait until `done()`.

        Raises
        ------
        RunError
            If a process ends before that, or it takes too long.
        """
        deadline = time.monotonic() + _START_SECONDS
        while not done():
            for owner, process in self._processes.items():
                if process.poll() is not None:
                    raise RunError(f"{owner} ended with exit code {process.returncode}: {self.log(owner)[-2000:]}")
            if time.monotonic() > deadline:
                raise RunError(f"waited {_START_SECONDS} s for {what}; see the logs in {self._folder}")
            time.sleep(_POLL_SECONDS)

    def stop(self) -> None:
        """Stop all processes as their owners would.

        Raises
        ------
        RunError
            If one did not end with exit code 0, unless another exception is being handled.
        """
        codes = {}
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for owner, process in self._processes.items():
            try:
                codes[owner] = process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                codes[owner] = process.wait()
            self._orphans.forget(process.pid)
        self._processes.clear()
        self._orphans.close()
        # Not before all have ended: whoever read the lines may be gone, as a closed terminal is.
        for owner, code in codes.items():
            self._say(f"{owner}: stopped, exit code {code}")
        unclean = [f"{owner} ended with exit code {code}" for owner, code in codes.items() if code]
        if unclean and sys.exception() is None:
            raise RunError("; ".join(unclean))
