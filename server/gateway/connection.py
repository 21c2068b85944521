"""A connection to the gateway: what uvicorn's own kind does, and an end for those that only hold a place."""

import asyncio
import logging
from email.utils import formatdate
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from server.gateway.limits import Limits, counted_as

_log = logging.getLogger(__name__)

# How long a caller may take to say goodbye (TLS close_notify) on a connection that is hung up. Idle clients never do,
# and asyncio would wait for 30 s.
_GOODBYE_SECONDS = 1


class Connection(H11Protocol):
    """One connection, from the end of its TLS handshake on.

    uvicorn waits for the first request of a connection, and for the rest of a request's head, as long as the caller
    likes, and accepts any number of connections. This one hangs up.

    Parameters
    ----------
    limits : Limits
        Its `head_seconds`, `connections` and `connections_per_address`.
    config, server_state, app_state, _loop
        As uvicorn gives them.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._head_deadline: asyncio.TimerHandle | None = None
        self._hung_up = False

    @property
    def _address(self) -> str:
        return counted_as(self.client[0]) if self.client else "unknown"

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Begin to wait for a request, or hang up if there are too many connections."""
        super().connection_made(transport)
        open_now = [other._address for other in self.connections if isinstance(other, Connection)]
        of_address = open_now.count(self._address)
        if len(open_now) > self._limits.connections or of_address > self._limits.connections_per_address:
            _log.warning("%s: hung up: too many connections", self._address)
            self._hang_up()
        elif self.client is None:  # gone before it could be asked for its address
            self._hang_up()
        else:
            self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        super().connection_lost(exc)
        self._stop_watching()

    def data_received(self, data: bytes) -> None:
        """Take in bytes, unless they come after the end."""
        if not self._hung_up:
            super().data_received(data)
            self._watch_head()

    def on_response_complete(self) -> None:
        """Begin to wait for the next request."""
        super().on_response_complete()
        self._unset_keepalive_if_required()  # uvicorn's clock, which any byte stops for good
        self._watch_head()

    def shutdown(self) -> None:
        """Hang up when the gateway stops, or after the answer to the request in hand."""
        if not self._hung_up:
            super().shutdown()
            if self.conn.our_state is h11.CLOSED:
                self._end_soon()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP with a date, as all else: hospitals measure their clock by it."""
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
        # And no second close() before: asyncio's TLS transport could not be aborted any more.
        self.loop.call_later(_GOODBYE_SECONDS, self.transport.abort)
