"""A process that forks others of itself: what it forks knows nothing that the starter learned later, such as a secret.

It has imported everything, so that what it forks begins at once; it never has threads, whose locks nobody could open
again behind a fork. multiprocessing's own server of this name is no help here: its children outlive a client that is
killed, and a client that was itself forked cannot use it.

Beside each process that it forks it leaves a guard, which ends the process as soon as whoever asked for it wants so, or
dies, and which alone can say how it ended.
"""

import contextlib
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from common.errors import RunError
from common.processes.forking import fork

Work = Callable[[Connection], None]
"""What a forked process does; the connection leads to whoever asked for it."""

# A process whose pipe is closed is about to end by itself.
_PATIENCE = 5.0


class ForkServer:
    """Starts the process that forks others; to be made before this one has threads, or knows what they must not.

    Parameters
    ----------
    work : callable
        What each forked process does.

    Attributes
    ----------
    pid : int
        Of the process that forks.
    """

    def __init__(self, work: Work) -> None:
        self._requests, theirs = socket.socketpair()
        self.pid = fork(partial(_serve, theirs, work), "rarefed-forks", without=[self._requests])
        theirs.close()

    def fork(self) -> "ForkedProcess":
        """Have a process forked.

        Raises
        ------
        RunError
            If the process that forks is gone.
        """
        pipe, their_pipe = Pipe()
        guard, their_guard = socket.socketpair()
        with their_pipe, their_guard:
            try:
                socket.send_fds(self._requests, [b"+"], [their_pipe.fileno(), their_guard.fileno()])
            except OSError as error:
                raise RunError(f"no process can be started: {error.strerror}") from error
        return ForkedProcess(pipe, guard)

    def close(self) -> None:
        """End the process that forks, and all that it forked."""
        self._requests.close()
        os.waitpid(self.pid, 0)


class ForkedProcess:
    """A process that a `ForkServer` forked; it lives no longer than this one.

    Parameters
    ----------
    pipe : Connection
        To the process.
    guard : socket
        To its guard.

    Attributes
    ----------
    pipe : Connection
        To the process; it ends when the process does.
    """

    def __init__(self, pipe: Connection, guard: socket.socket) -> None:
        self.pipe = pipe
        self._guard = guard

    def exit_code(self) -> int:
        """Return how the process ended, whose end of the pipe is closed: -N by signal N, else its exit status."""
        with contextlib.suppress(OSError):
            self._guard.send(b"?")
        return self._ending()

    def kill(self) -> None:
        """End the process, whatever it is doing."""
        with contextlib.suppress(OSError):
            self._guard.shutdown(socket.SHUT_WR)

    def stop(self) -> None:
        """End the process, wait for its end, and close what leads to it."""
        self.pipe.close()
        self.kill()
        with contextlib.suppress(OSError):
            self._ending()
        self._guard.close()

    def _ending(self) -> int:
        told = self._guard.recv(4)
        # Nothing is told where the guard was killed, and its process with it.
        return struct.unpack("i", told)[0] if told else -signal.SIGKILL


def _serve(requests: socket.socket, work: Work) -> None:
    # Ctrl-C is for whoever started all this, and ends everyone in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the guards
    while True:
        request, descriptors, _, _ = socket.recv_fds(requests, 1, 2)
        if not request:
            return
        if len(descriptors) != 2:  # this process has no room for more
            for each in descriptors:
                os.close(each)
            continue
        # Without a guard, whoever asked reads at once that there is nobody.
        with Connection(descriptors[0]) as pipe, socket.socket(fileno=descriptors[1]) as guard:
            try:
                fork(partial(_guard, pipe, guard, work), "rarefed-guard", without=[requests])
            except OSError as error:
                print(f"no process can be started: {error.strerror}", file=sys.stderr, flush=True)


def _guard(pipe: Connection, guard: socket.socket, work: Work) -> None:
    """Fork the process, and wait for its end or bring it about."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    worker = fork(partial(work, pipe), "rarefed-worker", without=[guard])
    pipe.close()
    status = _wait(worker, _PATIENCE) if guard.recv(1) else None
    if status is None:
        os.kill(worker, signal.SIGKILL)
        _, status = os.waitpid(worker, 0)
    with contextlib.suppress(OSError):
        guard.send(struct.pack("i", os.waitstatus_to_exitcode(status)))


def _wait(pid: int, seconds: float) -> int | None:
    """Return the status of a child that ends within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.05)
    return None
