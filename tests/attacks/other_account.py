"""A process of another account that listens on a port of this machine, in the place of whoever should."""

import contextlib
import os
import select
import signal
import socket
import time
from typing import Self

NOBODY = 65534


class Impostor:
    """Accepts connections, and writes down what it is sent on each; a context manager, to be entered by root.

    Parameters
    ----------
    port : int
        Of the loopback interface.
    late : float
        How many seconds it waits before it accepts a connection.
    """

    def __init__(self, port: int, late: float = 0) -> None:
        self._reading, writing = os.pipe()
        self._pid = os.fork()
        if not self._pid:
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                _listen(port, late, writing)
            finally:
                os._exit(0)
        os.close(writing)

    def __enter__(self) -> Self:
        assert self.next_words() == "listens"
        return self

    def __exit__(self, *_: object) -> None:
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._reading)

    def next_words(self, seconds: float = 30) -> str:
        """Return what it was sent on the next connection; fails if there is none in time."""
        assert select.select([self._reading], [], [], seconds)[0], "nobody connects"
        return os.read(self._reading, 200).decode("latin-1").rstrip("\n").partition("\n")[0]


def _listen(port: int, late: float, writing: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        os.write(writing, b"listens\n")
        while True:
            select.select([listener], [], [])
            time.sleep(late)
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.settimeout(20)
                sent = connection.recv(1000)
                os.write(writing, sent[:80].replace(b"\n", b" ") + b"\n" if sent else b"nothing\n")
