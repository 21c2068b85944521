"""Runs console scripts in a folder, as somebody would type them in a terminal."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from common.errors import RunError


@dataclass(frozen=True)
class Terminal:
    """Where the coordinator, or a hospital's IT, runs commands.

    Parameters
    ----------
    folder : Path
        The commands' working folder.
    say : callable
        Takes one line per command, as it could be typed, and each line that it prints.
    prefix : sequence of str
        The words before each command, such as ``ip netns exec ...``.
    variables : mapping of str to str
        Environment variables beside those of this process.
    """

    folder: Path
    say: Callable[[str], None]
    prefix: Sequence[str] = ()
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command to its end.

        Parameters
        ----------
        command : str
            Name of a console script of this environment, and its arguments.
        check : bool
            Whether an exit code other than 0 is an error.

        Returns
        -------
        subprocess.CompletedProcess
            With what the command printed to either stream as `stdout`.

        Raises
        ------
        RunError
            If `check`, and the exit code is not 0.
        """
        self.say(f"{self.folder.name}$ {' '.join(command)}")
        process: subprocess.Popen[str] = self._spawn(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        lines = []
        try:
            for line in process.stdout:
                lines.append(line)
                self.say(f"    {line.rstrip()}")
        except BaseException:
            process.terminate()
            raise
        finally:
            code = process.wait()
        if check and code:
            raise RunError(f"`{' '.join(command)}` ended with exit code {code}: {''.join(lines).strip()}")
        return subprocess.CompletedProcess(command, code, "".join(lines))

    def start(self, *command: str, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a command in the background, away from this process's Ctrl-C; it prints to `log`."""
        self.say(f"{self.folder.name}$ {' '.join(command)} &")
        process: subprocess.Popen[bytes] = self._spawn(command, stdout=log, start_new_session=True)
        return process

    def _spawn(self, command: Sequence[str], **options: Any) -> Any:
        return subprocess.Popen(
            [*self.prefix, str(Path(sys.executable).parent / command[0]), *command[1:]],
            cwd=self.folder,
            env={**os.environ, **self.variables},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            **options,
        )
