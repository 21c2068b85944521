"""Forks a process that does one thing and ends: tied to the one that it came from, and without its exit handlers."""

import contextlib
import ctypes
import os
import socket
import sys
from collections.abc import Callable, Sequence

from common.processes.parent_death import die_with_parent

_SET_NAME = 15  # PR_SET_NAME of <linux/prctl.h>


def fork(then: Callable[[], None], name: str, without: Sequence[socket.socket] = ()) -> int:
    """Fork a process, which dies with this one.

    Parameters
    ----------
    then : callable
        What it does; then it ends, with status 1 if that raised anything, and 0 if not.
    name : str
        What lists of processes call it (Linux); 15 characters at most.
    without : sequence of socket
        Closed in the new process.

    Returns
    -------
    int
        The number of the new process, which whoever forked it has to wait for.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        die_with_parent()
        _set_name(name)
        for each in without:
            each.close()
        if os.getppid() == parent:  # else it died before the kernel knew
            then()
        status = 0
    except BaseException as error:  # noqa: BLE001 - the last line of this process
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _set_name(name: str) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_NAME, name.encode(), 0, 0, 0)
