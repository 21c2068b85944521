"""Ties child processes to the life of the process that supervises them, also against `kill -9`.

Run as a script, without importing rarefed, so that it costs milliseconds. It has two uses:

- ``parent_death.py child PARENT COMMAND...`` asks the kernel to kill this process when its parent dies, and then
  becomes the command. (A function between fork and exec would do the same, but is not safe in a process with threads.)
- ``parent_death.py watch`` reads process groups from its standard input: ``+123`` when one begins, ``-123`` when it has
  ended. When the input ends, its writer is gone, and the remaining groups are killed: the kernel's promise covers
  children only, not the children's children.
"""

import contextlib
import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # of <linux/prctl.h>


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies; has no effect but on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def become(parent: int, command: list[str]) -> None:
    """Replace this process by the command, to be killed when the parent dies."""
    die_with_parent()
    if os.getppid() != parent:  # it died before the kernel knew
        sys.exit(1)
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


def watch() -> None:
    """Kill the process groups that outlive the writer of the standard input."""
    groups = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(OSError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    if sys.argv[1] == "child":
        become(int(sys.argv[2]), sys.argv[3:])
    else:
        watch()
