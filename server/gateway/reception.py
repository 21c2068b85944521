"""Accepts connections, and counts and times them before TLS.

asyncio's own server starts TLS on every connection at once, with a buffer of 256 KiB, waits a minute for a handshake,
and tells nobody of a connection before its handshake is done.
"""

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable

from server.gateway.counters import RateTable
from server.gateway.limits import Limits, counted_as
from server.gateway.lobby import Lobby, Visit

_log = logging.getLogger(__name__)

_AT_ONCE = 64
# Without files or memory left, accepting is tried again after this time, as asyncio does.
_PAUSE_SECONDS = 1.0
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
# How long a caller may take to answer the end of TLS.
_CLOSE_SECONDS = 1


class Reception:
    """Takes connections from a listening socket through TLS to a protocol.

    Parameters
    ----------
    listener : socket
        Listening; it is this class's from now on.
    tls : SSLContext
        Of the server's side.
    lobby : Lobby
        Where connections are counted.
    limits : Limits
        Its `handshake_seconds`, `handshake_rate`, `handshake_burst` and `addresses`.
    protocol_for : callable
        Returns the protocol of a visit.
    """

    def __init__(
        self,
        listener: socket.socket,
        tls: ssl.SSLContext,
        lobby: Lobby,
        limits: Limits,
        protocol_for: Callable[[Visit], asyncio.Protocol],
    ) -> None:
        self._listener = listener
        self._tls = tls
        self._lobby = lobby
        self._seconds = limits.handshake_seconds
        self._rates = RateTable(limits.handshake_rate, limits.handshake_burst, limits.addresses)
        self._protocol_for = protocol_for
        self._handshakes: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def open(self) -> None:
        """Accept connections from now on."""
        if not self._closed:
            self._listener.setblocking(False)
            self._loop.add_reader(self._listener, self._accept)

    def close(self) -> None:
        """Accept no more connections, and end those that have no TLS yet."""
        self._closed = True
        self._loop.remove_reader(self._listener)
        self._listener.close()
        for task in self._handshakes:
            task.cancel()

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                sock, address = self._listener.accept()
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    _log.error("no connection can be accepted: %s", error.strerror)
                    self._loop.remove_reader(self._listener)
                    self._loop.call_later(_PAUSE_SECONDS, self.open)
                return
            sock.setblocking(False)
            self._receive(sock, counted_as(address[0]))

    def _receive(self, sock: socket.socket, address: str) -> None:
        if not self._rates.admits(address):
            _log.warning("%s: hung up: too many connections a second", address)
            sock.close()
            return
        visit = Visit(address, lambda: None)
        task = self._loop.create_task(self._shake_hands(sock, visit))
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)
        visit.hang_up = task.cancel  # type: ignore[assignment]  # what it returns is of no use
        if self._lobby.enter(visit):
            _log.warning("%s: hung up on the oldest of the address with most: too many strangers", address)

    async def _shake_hands(self, sock: socket.socket, visit: Visit) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                if not await self._speaks(sock):
                    raise ConnectionResetError
                # From here on the socket is asyncio's, which closes it. Once TLS stands, the protocol ends the visit.
                await self._loop.connect_accepted_socket(
                    lambda: self._protocol_for(visit), sock, ssl=self._tls, ssl_shutdown_timeout=_CLOSE_SECONDS
                )
        # A handshake that fails, is too slow, or had to go for another; a ValueError where the names of the caller's
        # certificate, which asyncio reads, are no text.
        except (OSError, ValueError, asyncio.CancelledError):
            self._lobby.leave(visit)

    async def _speaks(self, sock: socket.socket) -> bool:
        """Wait for the first byte, which is left where it is; close the socket and return False if none comes."""
        ready = self._loop.create_future()
        self._loop.add_reader(sock, self._wake, ready)
        spoke = False
        try:
            await ready
            spoke = bool(sock.recv(1, socket.MSG_PEEK))
        finally:
            self._loop.remove_reader(sock)
            if not spoke:
                sock.close()
        return spoke

    @staticmethod
    def _wake(ready: asyncio.Future[None]) -> None:
        if not ready.done():
            ready.set_result(None)
