"""Description of a program to be supervised: command, probes, and when to restart it."""

import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Timing:
    """When a program is probed, restarted and killed; in seconds, except for `patience`.

    Attributes
    ----------
    first_delay, longest_delay : float
        Pause before the first restart, and the longest; it doubles with every restart. A fifth of it is random, so that
        the hospitals of a federation do not come back at the same time.
    settled : float
        After this uptime, the next restart counts as the first.
    start : float
        A program that is not ready after this time is restarted.
    probe : float
        Between two probes of whether it is ready or alive.
    patience : int
        A ready program is restarted after this number of failed probes in a row.
    grace : float
        Between SIGTERM and SIGKILL.
    """

    first_delay: float = 1.0
    longest_delay: float = 60.0
    settled: float = 60.0
    start: float = 120.0
    probe: float = 5.0
    patience: int = 6
    grace: float = 10.0

    def delay(self, failures: int) -> float:
        """Return the pause before the restart after so many failures in a row, from 1."""
        pause = min(self.first_delay * 2.0 ** min(failures - 1, 30), self.longest_delay)
        return pause * random.uniform(0.8, 1.0)


@dataclass(frozen=True)
class Program:
    """What to run, and how to tell that it works.

    Attributes
    ----------
    name : str
        Unique within a supervisor; also in its messages.
    command : sequence of str
        Program and arguments.
    log : Path
        Receives standard output and error, with the time before each line; rotated by size.
    folder : Path
        Its working directory.
    environment : mapping of str to str
        The whole environment.
    ready : callable or None
        Says whether it serves; probed after every start. None: it serves as soon as it runs.
    alive : callable or None
        Says whether it still works; probed while it is ready, to detect a process that hangs. Neither probe may take
        longer than some seconds; one that raises has failed.
    on_line : callable or None
        Called with each line of output; what it raises is written to the log.
    keep : callable or None
        Says whether a line goes to the log; None: all do.
    timing : Timing
        When to probe, restart and kill it.
    """

    name: str
    command: Sequence[str]
    log: Path
    folder: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    ready: Callable[[], bool] | None = None
    alive: Callable[[], bool] | None = None
    on_line: Callable[[str], None] | None = None
    keep: Callable[[str], bool] | None = None
    timing: Timing = Timing()


@dataclass(frozen=True)
class ProgramState:
    """The state of a supervised program.

    Attributes
    ----------
    name : str
        The program's.
    pid : int or None
        None while it waits for its restart.
    ready : bool
        Whether it serves.
    restarts : int
        Since the supervisor started it.
    since : float or None
        Start of the present process, in seconds of the epoch.
    last_exit : str or None
        How the process before this one ended, such as "exit code 1", "killed by SIGKILL".
    """

    name: str
    pid: int | None
    ready: bool
    restarts: int
    since: float | None
    last_exit: str | None
