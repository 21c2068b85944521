"""Keeps named programs running, and leaves no process behind."""

import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import Self

from common.processes.interruption import heeded
from common.processes.process_group import OrphanKiller
from common.processes.program import Program, ProgramState
from common.processes.supervised_program import SupervisedProgram

_TICK = 0.1


class Supervisor:
    """Starts programs and keeps them running until it is stopped; use as a context manager.

    Every program runs in a session of its own: the terminal's Ctrl-C does not reach it, and the end signals its whole
    process group. When the supervisor itself is killed, the kernel and a small watching process
    (`common/processes/parent_death.py`) end all groups.

    Parameters
    ----------
    say : callable
        Takes one line per event: a program serves, or is started again and why. Called from several threads.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._programs: dict[str, SupervisedProgram] = {}
        self._orphan_killer = OrphanKiller()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, program: Program) -> None:
        """Start a program and keep it running; returns at once."""
        if program.name in self._programs:
            raise ValueError(f"{program.name} is supervised already")
        self._programs[program.name] = SupervisedProgram(program, self._orphan_killer, self._say)

    def restart(self, name: str, reason: str) -> None:
        """End a program's process; it is started again as after a failure."""
        self._programs[name].restart(reason)

    def states(self) -> list[ProgramState]:
        """Return the programs' states, in the order of their start."""
        return [program.state for program in self._programs.values()]

    def state(self, name: str) -> ProgramState:
        """Return one program's state."""
        return self._programs[name].state

    def stop(self) -> None:
        """End all programs in reverse order of their start: SIGTERM, and after its grace SIGKILL."""
        for program in reversed(self._programs.values()):
            program.stop()
        self._programs.clear()
        self._orphan_killer.close()

    def run_until_signal(self, tick: Callable[[], None], every: float) -> None:
        """Call `tick` now and every so many seconds, until SIGTERM, SIGINT or SIGHUP arrives; then stop all programs.

        To be called in the main thread. Further signals do not interrupt the stopping.
        """
        received: list[int] = []

        # A flag and short sleeps: waking a waiting thread from a signal handler can deadlock.
        def note(number: int, frame: FrameType | None) -> None:
            received.append(number)

        before = {number: signal.signal(number, note) for number in heeded()}
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
