"""A connection to whoever answers, for one short exchange with one deadline and one bound of bytes.

A timeout of a socket holds for each read: whoever sends a byte now and then holds a reader for ever. Here the deadline
is that of the whole exchange, from connecting on, and every byte that comes is counted, those of TLS too.
"""

import errno
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

_T = TypeVar("_T")

Address = tuple[int, Any]
"""Family and address of a socket."""

MOST_BYTES = 2**18
"""What is read of one connection; OpenSSL takes at most 100 kB of certificates."""

_PIECE = 4096


class Line:
    """A connection in plain text; use it as a context manager.

    Parameters
    ----------
    addresses : sequence of Address
        Tried one after the other; each has its part of the time.
    seconds : float
        From now until the end of the exchange.

    Raises
    ------
    TimeoutError
        Here and in each method: the time is over.
    OSError
        There is no connection (any more), or more came than `MOST_BYTES`.
    """

    def __init__(self, addresses: Sequence[Address], seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._left = MOST_BYTES
        self._socket = self._connect(addresses)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._socket.settimeout(self._remaining())
        self._socket.sendall(data)

    def receive(self) -> bytes:
        """Return some bytes; none at the end."""
        self._socket.settimeout(self._remaining())
        piece = self._socket.recv(_PIECE)
        self._left -= len(piece)
        if self._left < 0:
            raise OSError(errno.EMSGSIZE, "it sends without end")
        return piece

    def _remaining(self) -> float:
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("timed out")
        return remaining

    def _connect(self, addresses: Sequence[Address]) -> socket.socket:
        problem = OSError(errno.EADDRNOTAVAIL, "no address")
        for tried, (family, address) in enumerate(addresses):
            try:
                return self._connect_to(family, address, self._remaining() / (len(addresses) - tried))
            except OSError as error:
                problem = error
        raise problem

    @staticmethod
    def _connect_to(family: int, address: Any, seconds: float) -> socket.socket:
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.settimeout(seconds)
            made.connect(address)
        except OSError:
            made.close()
            raise
        return made


class TlsLine:
    """TLS on a line, whose deadline and bound hold for it.

    Parameters
    ----------
    line : Line
        Connected to the server, or to a tunnel that leads there.
    context : SSLContext
        What is trusted.
    host : str
        Whom the certificate must be for, if `context` looks.

    Raises
    ------
    OSError
        As `Line`; an `SSLError` where TLS or the certificate is refused.
    """

    def __init__(self, line: Line, context: ssl.SSLContext, host: str) -> None:
        self._line = line
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._carry_out(self._tls.do_handshake)

    @property
    def certificate(self) -> bytes:
        """The server's certificate (DER), as it sent it."""
        return self._tls.getpeercert(binary_form=True) or b""

    def send(self, data: bytes) -> None:
        """Send all of it."""
        self._carry_out(lambda: self._tls.write(data))

    def receive(self) -> bytes:
        """Return some bytes; none at the end."""
        return self._carry_out(lambda: self._tls.read(_PIECE))

    def _carry_out(self, work: Callable[[], _T]) -> _T:
        """Do something in memory, and carry the bytes that it has for the server, or needs from there."""
        while True:
            try:
                done = work()
            except ssl.SSLWantReadError:
                self._flush()
                if piece := self._line.receive():
                    self._incoming.write(piece)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                self._flush()  # the alert that tells the server why
                raise
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        if data := self._outgoing.read():
            self._line.send(data)
