"""Keeps named programs running: restarts what died or hangs, keeps their logs, leaves no process behind."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import IO, Self

from common.processes.program import Program, ProgramState
from common.processes.rotating_log import RotatingLog, without_colours

_PARENT_DEATH = str(Path(__file__).with_name("parent_death.py"))
# Children of a child that ended get this long to follow it before they are killed.
_ORPHAN_SECONDS = 5.0
_TICK = 0.1


class Supervisor:
    """Starts programs and keeps them running until it is stopped; use as a context manager.

    Every program runs in a session of its own: the terminal's Ctrl-C does not reach it, and its whole process group is
    signalled at the end. When the supervisor itself is killed, the kernel and a small watching process
    (`common/processes/parent_death.py`) end all groups.

    Parameters
    ----------
    say : callable
        Takes one line an event: a program serves; it is started again, and why. Called from several threads.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._children: dict[str, _Child] = {}
        self._warden = _Warden()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, program: Program) -> None:
        """Start a program and keep it running; returns at once."""
        if program.name in self._children:
            raise ValueError(f"{program.name} is supervised already")
        self._children[program.name] = _Child(program, self._warden, self._say)

    def restart(self, name: str, reason: str) -> None:
        """End a program's process; it is started again as after a failure."""
        self._children[name].restart(reason)

    def states(self) -> list[ProgramState]:
        """Return the programs' states, in the order of their start."""
        return [child.state for child in self._children.values()]

    def state(self, name: str) -> ProgramState:
        """Return one program's state."""
        return self._children[name].state

    def stop(self) -> None:
        """End all programs in reverse order of their start: SIGTERM, and after its grace SIGKILL."""
        for child in reversed(self._children.values()):
            child.stop()
        self._children.clear()
        self._warden.dismiss()

    def run_until_signal(self, tick: Callable[[], None], every: float) -> None:
        """Call `tick` now and every so many seconds, until SIGTERM, SIGINT or SIGHUP arrives; then stop all programs.

        To be called in the main thread. Further signals do not interrupt the stopping.
        """
        received: list[int] = []

        # A flag and short sleeps: waking a waiting thread from a signal handler can deadlock.
        def note(number: int, frame: FrameType | None) -> None:
            received.append(number)

        # One that is ignored, as SIGHUP under nohup, stays so.
        wanted = [n for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
        before = {number: signal.signal(number, note) for number in wanted}
        try:
            due = time.monotonic()
            while not received:
                if time.monotonic() >= due:
                    tick()
                    due = time.monotonic() + every
                time.sleep(_TICK)
            self.stop()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Warden:
    """The process that ends what outlives the supervisor."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _PARENT_DEATH, "warden"],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def watch(self, group: int) -> None:
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"-{group}\n")

    def dismiss(self) -> None:
        with self._lock, contextlib.suppress(OSError):
            self._process.communicate()

    def _tell(self, line: str) -> None:
        # Without a warden, killed by someone, the children still die with the supervisor.
        with self._lock, contextlib.suppress(OSError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.write(line)
            self._process.stdin.flush()


class _Child:
    """One program and the thread that keeps it running.

    The kernel ends a child when the *thread* that started it ends: this one lives as long as the program is supervised.
    """

    def __init__(self, program: Program, warden: _Warden, say: Callable[[str], None]) -> None:
        self._program = program
        self._warden = warden
        self._say = say
        self._log = RotatingLog(program.log)
        self._stopping = threading.Event()
        self._complaint: str | None = None
        self.state = ProgramState(program.name, None, False, 0, None, None)
        self._thread = threading.Thread(target=self._supervise, name=program.name, daemon=True)
        self._thread.start()

    def restart(self, reason: str) -> None:
        self._complaint = reason

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()
        self._log.close()

    def _supervise(self) -> None:
        timing, failures, restarts = self._program.timing, 0, 0
        last_exit: str | None = None
        while not self._stopping.is_set():
            began = time.monotonic()
            reason = last_exit = self._run_once(restarts, last_exit)
            if self._stopping.is_set():
                break
            if self._complaint is not None:
                reason = self._complaint
            failures = 1 if time.monotonic() - began >= timing.settled else failures + 1
            restarts += 1
            pause = timing.delay(failures)
            self.state = ProgramState(self._program.name, None, False, restarts, None, last_exit)
            self._say(f"{self._program.name}: {reason}; starting it again in {pause:.0f} s (log: {self._program.log})")
            self._stopping.wait(pause)
        self.state = ProgramState(self._program.name, None, False, restarts, None, last_exit)

    def _run_once(self, restarts: int, last_exit: str | None) -> str:
        """Start the program, wait for its end, and return how it ended."""
        self._complaint = None
        program = self._program
        command = [sys.executable, "-I", "-S", _PARENT_DEATH, "child", str(os.getpid()), *program.command]
        try:
            process = subprocess.Popen(
                command,
                cwd=program.folder,
                # Whatever it wrote before a crash is in the pipe, and not in a buffer that dies with it.
                env={**program.environment, "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
                errors="replace",
            )
        except OSError as error:
            return f"cannot be started: {error}"
        self._warden.watch(process.pid)
        self._log.write(f"--- {program.name} started as process {process.pid}")
        self.state = ProgramState(program.name, process.pid, False, restarts, time.time(), last_exit)
        if program.ready is None:
            self._set_ready()
        assert process.stdout is not None
        pump = threading.Thread(target=self._pump, args=(process.stdout,), daemon=True)
        pump.start()
        try:
            self._watch(process)
        finally:
            _end_group(process, program.timing.grace)
            self._warden.forget(process.pid)
            pump.join(timeout=_ORPHAN_SECONDS)
        how = _describe_exit(process.returncode)
        self._log.write(f"--- {program.name} ended: {self._complaint + '; ' if self._complaint else ''}{how}")
        return how

    def _watch(self, process: subprocess.Popen[str]) -> None:
        """Return when the process has ended or shall end: because all stop, or because of the `_complaint`."""
        program, timing = self._program, self._program.timing
        began = time.monotonic()
        # A look at readiness costs little and someone waits for it.
        due, failed = began, 0
        while process.poll() is None and not self._stopping.is_set() and self._complaint is None:
            if time.monotonic() >= due:
                if not self.state.ready:
                    assert program.ready is not None
                    if self._succeeds(program.ready):
                        self._set_ready()
                    elif time.monotonic() - began > timing.start:
                        self._complaint = f"not ready after {timing.start:.0f} s"
                elif program.alive is not None:
                    failed = 0 if self._succeeds(program.alive) else failed + 1
                    if failed >= timing.patience:
                        self._complaint = f"gave no sign of life {failed} times in a row"
                due = time.monotonic() + (timing.probe if self.state.ready else min(timing.probe, 0.5))
            self._stopping.wait(_TICK)

    def _succeeds(self, probe: Callable[[], bool]) -> bool:
        try:
            return probe()
        except Exception as error:  # noqa: BLE001 - the thread must not end: the program would end with it
            self._log.write(f"--- cannot be looked at: {error!r}")
            return False

    def _set_ready(self) -> None:
        state = self.state
        self.state = ProgramState(state.name, state.pid, True, state.restarts, state.since, state.last_exit)
        self._say(f"{state.name}: running as process {state.pid}")

    def _pump(self, output: IO[str]) -> None:
        program = self._program
        with output:
            for line in output:
                text = without_colours(line.rstrip("\n"))
                if program.keep is None or program.keep(text):
                    self._log.write(text)
                if program.on_line is not None:
                    try:
                        program.on_line(text)
                    except Exception as error:  # noqa: BLE001 - a pipe that nobody empties would block the program
                        self._log.write(f"--- cannot handle the line above: {error!r}")


def _end_group(process: subprocess.Popen[str], grace: float) -> None:
    """End a process and all others of its group; one that has ended already is only reaped."""
    _signal_group(process.pid, signal.SIGTERM)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        _signal_group(process.pid, signal.SIGKILL)
        process.wait()
    deadline = time.monotonic() + min(grace, _ORPHAN_SECONDS)
    while _signal_group(process.pid, 0) and time.monotonic() < deadline:
        time.sleep(_TICK)
    _signal_group(process.pid, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    """Signal a process group and say whether there is one."""
    try:
        os.killpg(group, number)
    except OSError:
        return False
    return True


def _describe_exit(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
