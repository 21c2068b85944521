"""uvicorn's HTTP connection with timeouts."""

import asyncio
from email.utils import formatdate

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from common.system.header_lines import read_header_lines_in_linear_time
from server.gateway.limits import Limits
from server.gateway.lobby import Lobby, Visit

# One line of a stranger's request would stop the loop, and with it all hospitals' calls, for seconds.
read_header_lines_in_linear_time()

# How long a caller may take to answer the end of TLS (close_notify). Idle clients never do, and asyncio waits for 30 s.
_CLOSE_SECONDS = 1


class Connection(H11Protocol):
    """One connection, from the end of its TLS handshake on.

    uvicorn waits without limit for the first request of a connection and for the rest of a request's head. This class
    closes a connection that is too slow. The app finds the visit in the request's `scope["state"]`.

    Parameters
    ----------
    config, server_state
        uvicorn's.
    visit : Visit
        Counted in the lobby already.
    lobby : Lobby
        Which the visit leaves when the connection ends.
    limits : Limits
        Its `head_seconds`.
    """

    def __init__(self, config: Config, server_state: ServerState, visit: Visit, lobby: Lobby, limits: Limits) -> None:
        super().__init__(config, server_state, {"visit": visit})
        self._visit = visit
        self._lobby = lobby
        self._limits = limits
        self._head_deadline: asyncio.TimerHandle | None = None
        self._hung_up = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Start the timeout for a request."""
        super().connection_made(transport)
        self._visit.hang_up = transport.abort
        if self.client is None:  # gone before its address could be read
            self._hang_up()
        else:
            self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timeout, and end the visit."""
        super().connection_lost(exc)
        self._lobby.leave(self._visit)
        self._stop_watching()

    def data_received(self, data: bytes) -> None:
        """Handle bytes, unless the connection is being closed."""
        if not self._hung_up:
            super().data_received(data)
            self._watch_head()

    def on_response_complete(self) -> None:
        """Start the timeout for the next request."""
        super().on_response_complete()
        self._unset_keepalive_if_required()  # uvicorn's own timeout, which any byte stops for good
        self._watch_head()

    def shutdown(self) -> None:
        """Close the connection when the gateway stops, or after the answer to the request in progress."""
        if not self._hung_up:
            super().shutdown()
            if self.conn.our_state is h11.CLOSED:
                self._end_soon()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP, with a date as in every answer: hospitals compare their clock with it."""
        headers = [("date", formatdate(usegmt=True)), ("connection", "close"), ("content-length", "0")]
        self.transport.write(self.conn.send(h11.Response(status_code=400, headers=headers)) or b"")
        self.transport.write(self.conn.send(h11.EndOfMessage()) or b"")
        self._hang_up()

    def _watch_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._stop_watching()
        elif self._head_deadline is None:
            self._head_deadline = self.loop.call_later(self._limits.head_seconds, self._hang_up)

    def _stop_watching(self) -> None:
        if self._head_deadline is not None:
            self._head_deadline.cancel()
            self._head_deadline = None

    def _hang_up(self) -> None:
        self._hung_up = True
        self._stop_watching()
        self.transport.close()
        self._end_soon()

    def _end_soon(self) -> None:
        # Not at once: a SuperNode takes a torn TLS stream for a wrong certificate, and does not try again.
        # And without a second close() before it, after which asyncio's TLS transport cannot be aborted.
        self.loop.call_later(_CLOSE_SECONDS, self.transport.abort)
