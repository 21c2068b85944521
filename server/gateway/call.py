"""One request over ASGI, read and answered within limits of size and time."""

import asyncio
from collections.abc import Callable, Iterable

from starlette.types import Receive, Scope, Send

from server.gateway.limits import Limits
from server.gateway.lobby import Visit
from server.gateway.refusal import RefusedError

Headers = list[tuple[bytes, bytes]]

_PIECE = 2**16

# How long the rest of a refused body is read and thrown away. A connection that is closed while bytes come in is reset,
# and the reset can overtake the answer; the SuperNode would then never see its 413, and try again forever.
_LINGER_SECONDS = 2


class Call:
    """A request and its one answer.

    Attributes
    ----------
    visit : Visit
        The connection that it came on.
    hospital : str or None
        Who signed it, once that is known; None: a stranger.
    method : str
        The HTTP method.
    target : bytes
        Path and query exactly as sent: nothing decoded, no dots or slashes resolved.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.visit: Visit = scope["state"]["visit"]
        self.hospital: str | None = None
        self.method: str = scope["method"]
        self.target: bytes = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        self._headers: Headers = scope["headers"]
        self._receive = receive
        self._send = send
        self._wholly_read = False
        self._answered = False

    def headers(self, names: Iterable[bytes]) -> Headers:
        """Return the request's headers whose name, in lower case, is among `names`."""
        return [(name, value) for name, value in self._headers if name in names]

    def header(self, name: bytes) -> bytes:
        """Return the value of a header, empty if the request has it not once."""
        values = self.headers([name])
        return values[0][1] if len(values) == 1 else b""

    async def read_body(self, limits: Limits, count: Callable[[int], None]) -> bytes:
        """Return the request's body.

        Parameters
        ----------
        limits : Limits
            Its `body_bytes`, `silence_seconds` and `transfer_seconds`.
        count : callable
            Told how many bytes are about to be read: all at once where the request declares its length; may refuse.

        Raises
        ------
        RefusedError
            If it is larger, slower, or breaks off. A body whose declared length is too large is not read at all.
        """
        declared = [int(length) for _, length in self.headers([b"content-length"])]
        if any(length > limits.body_bytes for length in declared):
            raise RefusedError(413, "body too large")
        if declared:
            count(max(declared))
        body = bytearray()
        try:
            async with asyncio.timeout(limits.transfer_seconds):
                while not self._wholly_read:
                    async with asyncio.timeout(limits.silence_seconds):
                        piece = await self._read_piece()
                    body += piece
                    if len(body) > limits.body_bytes:
                        raise RefusedError(413, "body too large")
                    if not declared:
                        count(len(piece))
        except TimeoutError:
            raise RefusedError(503, "body too slow") from None
        return bytes(body)

    async def answer(self, status: int, headers: Headers, body: bytes, seconds: float) -> None:
        """Send the answer in pieces; raises `RefusedError` if the caller does not take it within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                await self._send_head(status, headers, len(body))
                for start in range(0, len(body), _PIECE):
                    await self._send_body(body[start : start + _PIECE], more=True)
                await self._send_body(b"", more=False)
        except TimeoutError:
            raise RefusedError(503, "answer taken too slowly") from None

    async def refuse(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a short answer and close the connection, if it is a stranger's or the request was not wholly read.

        If an answer has begun, nothing is sent, and uvicorn cuts the connection.
        """
        if self._answered:
            return
        await self._send_head(status, headers, len(body))
        await self._send_body(body, more=True)
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while not self._wholly_read:
                    await self._read_piece()
        except (TimeoutError, RefusedError):
            pass
        await self._send_body(b"", more=False)

    async def _read_piece(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(503, "caller hung up")
        self._wholly_read = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    async def _send_head(self, status: int, headers: Headers, length: int) -> None:
        self._answered = True
        # A stranger has one request for each connection.
        hang_up = [] if self._wholly_read and self.visit.hospital else [(b"connection", b"close")]
        fields = [*headers, *hang_up, (b"content-length", str(length).encode())]
        await self._send({"type": "http.response.start", "status": status, "headers": fields})

    async def _send_body(self, piece: bytes, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})
