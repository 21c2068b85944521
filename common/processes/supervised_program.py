"""One program that is kept running: restarted when it ends, hangs or is not ready in time."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from common.processes.process_group import OrphanKiller, ProcessGroup
from common.processes.program import Program, ProgramState
from common.processes.rotating_log import RotatingLog, without_colours

_TICK = 0.1
# Someone waits for a program to become ready, and the check costs little.
_READY_PROBE = 0.5


class SupervisedProgram:
    """A program and the thread that keeps it running.

    Parameters
    ----------
    program : Program
        What to run.
    orphan_killer : OrphanKiller
        Told of every process group.
    say : callable
        Takes one line per event.

    Attributes
    ----------
    state : ProgramState
        Replaced at every change.
    """

    def __init__(self, program: Program, orphan_killer: OrphanKiller, say: Callable[[str], None]) -> None:
        self._program = program
        self._orphan_killer = orphan_killer
        self._say = say
        self._log = RotatingLog(program.log)
        self._stopping = threading.Event()
        self._complaint: str | None = None
        self.state = ProgramState(program.name, None, False, 0, None, None)
        # Its processes die with this thread, which lives as long as the program is supervised.
        self._thread = threading.Thread(target=self._supervise, name=program.name, daemon=True)
        self._thread.start()

    def restart(self, reason: str) -> None:
        """End the process; it is started again as after a failure."""
        self._complaint = reason

    def stop(self) -> None:
        """End the process and do not start it again; returns when it has ended."""
        self._stopping.set()
        self._thread.join()
        self._log.close()

    def _supervise(self) -> None:
        timing, failures = self._program.timing, 0
        while not self._stopping.is_set():
            began = time.monotonic()
            how = self._run_once()
            self.state = replace(self.state, pid=None, ready=False, since=None, last_exit=how)
            if self._stopping.is_set():
                break
            failures = 1 if time.monotonic() - began >= timing.settled else failures + 1
            self.state = replace(self.state, restarts=self.state.restarts + 1)
            pause, reason = timing.delay(failures), self._complaint or how
            self._say(f"{self._program.name}: {reason}; starting it again in {pause:.0f} s (log: {self._program.log})")
            self._stopping.wait(pause)

    def _run_once(self) -> str:
        """Start the process, wait for its end, and return how it ended."""
        self._complaint = None
        program = self._program
        try:
            group = ProcessGroup(program.command, program.folder, program.environment, self._orphan_killer)
        except OSError as error:
            return f"cannot be started: {error}"
        self._log.write(f"--- {program.name} started as process {group.pid}")
        self.state = replace(self.state, pid=group.pid, since=time.time())
        if program.ready is None:
            self._set_ready()
        group.read_output(self._take_line)
        try:
            self._wait(group)
        finally:
            how = group.end(program.timing.grace)
        self._log.write(f"--- {program.name} ended: {self._complaint + '; ' if self._complaint else ''}{how}")
        return how

    def _wait(self, group: ProcessGroup) -> None:
        """Return when the process has ended or is to be ended: because of `stop`, or of a complaint."""
        timing = self._program.timing
        began = due = time.monotonic()
        failed = 0
        while group.running() and not self._stopping.is_set() and self._complaint is None:
            if time.monotonic() >= due:
                if self.state.ready:
                    failed = self._probe_life(failed)
                else:
                    self._probe_readiness(began)
                due = time.monotonic() + (timing.probe if self.state.ready else min(timing.probe, _READY_PROBE))
            self._stopping.wait(_TICK)

    def _probe_readiness(self, began: float) -> None:
        assert self._program.ready is not None
        if self._succeeds(self._program.ready):
            self._set_ready()
        elif time.monotonic() - began > self._program.timing.start:
            self._complaint = f"not ready after {self._program.timing.start:.0f} s"

    def _probe_life(self, failed: int) -> int:
        """Return how many probes in a row have failed, of which `failed` before this one."""
        if self._program.alive is None or self._succeeds(self._program.alive):
            return 0
        if failed + 1 >= self._program.timing.patience:
            self._complaint = f"gave no sign of life {failed + 1} times in a row"
        return failed + 1

    def _succeeds(self, probe: Callable[[], bool]) -> bool:
        try:
            return probe()
        except Exception as error:  # noqa: BLE001 - the thread must not end: the program would end with it
            self._log.write(f"--- cannot be looked at: {error!r}")
            return False

    def _set_ready(self) -> None:
        self.state = replace(self.state, ready=True)
        self._say(f"{self.state.name}: running as process {self.state.pid}")

    def _take_line(self, line: str) -> None:
        program, text = self._program, without_colours(line)
        if program.keep is None or program.keep(text):
            self._log.write(text)
        if program.on_line is not None:
            try:
                program.on_line(text)
            except Exception as error:  # noqa: BLE001 - a program blocks if nobody reads its output
                self._log.write(f"--- cannot handle the line above: {error!r}")
