"""A process with all its descendants as one group: started in a session of its own, ended as a whole."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

_PARENT_DEATH = str(Path(__file__).with_name("parent_death.py"))
# When the process of a group has ended, its descendants get this long to end too before they are killed.
_ORPHAN_SECONDS = 5.0
_POLL_SECONDS = 0.1


class OrphanKiller:
    """A process that kills the groups that outlive this one; see `common/processes/parent_death.py`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _PARENT_DEATH, "watch"],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def watch(self, group: int) -> None:
        """Kill this group when the present process has died."""
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """Leave this group alone, since it has ended."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """End the process; it kills the groups that it still watches."""
        with self._lock, contextlib.suppress(OSError):
            self._process.communicate()

    def _tell(self, line: str) -> None:
        # If someone killed it, the children still die with this process; only their own children may stay.
        with self._lock, contextlib.suppress(OSError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.write(line)
            self._process.stdin.flush()


class ProcessGroup:
    """A running command and its descendants.

    They get no signal from the terminal, and are killed when the *thread* that started them ends, or this process.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    folder : Path
        Working directory.
    environment : mapping of str to str
        The whole environment.
    orphan_killer : OrphanKiller
        Told of the group.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, environment: Mapping[str, str], orphan_killer: OrphanKiller
    ) -> None:
        self._orphan_killer = orphan_killer
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _PARENT_DEATH, "child", str(os.getpid()), *command],
            cwd=folder,
            # Unbuffered, so that what it writes before a crash is not lost in a buffer. In UTF-8, whatever the terminal
            # of the supervisor shows.
            env={**environment, "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            encoding="utf-8",
            errors="replace",
        )
        orphan_killer.watch(self.pid)
        self._reader: threading.Thread | None = None

    @property
    def pid(self) -> int:
        """Id of the process, and of the group."""
        return self._process.pid

    def running(self) -> bool:
        """Say whether the process, apart from its descendants, still runs."""
        return self._process.poll() is None

    def read_output(self, on_line: Callable[[str], None]) -> None:
        """Call `on_line` with each line of standard output and error, in a thread of its own; returns at once."""
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=_read_lines, args=(self._process.stdout, on_line), daemon=True)
        self._reader.start()

    def end(self, grace: float) -> str:
        """End the process and its descendants: SIGTERM, and after `grace` seconds SIGKILL.

        Returns
        -------
        str
            How the process ended, such as "exit code 1", "killed by SIGKILL".
        """
        _signal_group(self.pid, signal.SIGTERM)
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            _signal_group(self.pid, signal.SIGKILL)
            self._process.wait()
        deadline = time.monotonic() + min(grace, _ORPHAN_SECONDS)
        while _signal_group(self.pid, 0) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        _signal_group(self.pid, signal.SIGKILL)
        self._orphan_killer.forget(self.pid)
        if self._reader is not None:
            self._reader.join(timeout=_ORPHAN_SECONDS)
        code = self._process.returncode
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _read_lines(output: IO[str], on_line: Callable[[str], None]) -> None:
    with output:
        for line in output:
            on_line(line.rstrip("\n"))


def _signal_group(group: int, number: int) -> bool:
    """Signal a process group and say whether there is one."""
    try:
        os.killpg(group, number)
    except OSError:
        return False
    return True
