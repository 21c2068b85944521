"""A proxy that stands where a hospital's bytes leave it, with the federation's own certificate, and keeps them all."""

import asyncio
import contextlib
import socket
import ssl
import threading
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path


class Recorder:
    """Passes TLS connections on to a server and keeps what the client sent; use as a context manager.

    All connections live in one thread: OpenSSL does not bear two at one connection, one of which reads while the other
    writes.

    Parameters
    ----------
    certificate, key : Path
        By which it passes for the server.
    ca : Path
        By which it trusts the server.
    target : int
        Port of the server on localhost.

    Attributes
    ----------
    port : int
        On localhost, for the clients.
    sent : list of bytearray
        What came over each connection so far.
    """

    def __init__(self, certificate: Path, key: Path, ca: Path, target: int) -> None:
        self._accepts = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._accepts.load_cert_chain(certificate, key)
        self._trusts = ssl.create_default_context(cafile=str(ca))
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sent: list[bytearray] = []
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Recorder":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        # Not as a context manager, which from Python 3.12 on waits until the hospitals hang up.
        server = await asyncio.start_server(self._relay, sock=self._listener, ssl=self._accepts)
        await self._over.wait()
        server.close()

    async def _relay(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        # At the end of the recorder, connections that are still open are cancelled.
        with contextlib.closing(to_client), contextlib.suppress(OSError, asyncio.CancelledError):
            server, to_server = await asyncio.open_connection("localhost", self._target, ssl=self._trusts)
            kept = bytearray()
            self.sent.append(kept)
            await asyncio.gather(_pump(client, to_server, kept), _pump(server, to_client, None))


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, kept: bytearray | None) -> None:
    with contextlib.closing(target), contextlib.suppress(OSError):
        while data := await source.read(65536):
            if kept is not None:
                kept += data
            target.write(data)
            await target.drain()


def disguises(word: str) -> dict[str, bytes]:
    """Return the ways in which a word could lie in a stream of bytes."""
    plain = word.encode()
    forms = {
        "plain": plain,
        "reversed": plain[::-1],
        "utf-16": word.encode("utf-16-le"),
        "utf-16 big endian": word.encode("utf-16-be"),
        "utf-32": word.encode("utf-32-le"),
        "hexadecimal": plain.hex().encode(),
        "HEXADECIMAL": plain.hex().upper().encode(),
    }
    for shift in range(3):
        # Without the characters that the neighbours of the word have a say in.
        encoded = b64encode(b"\0" * shift + plain)
        forms[f"base64, shifted by {shift}"] = encoded[4 if shift else 0 : len(encoded) // 4 * 4 - 4]
    return forms


def unpacked(data: bytes) -> Iterator[bytes]:
    """Yield every zlib, gzip and raw deflate stream that begins somewhere in the data."""
    starts = {
        position for magic in (b"\x78\x01", b"\x78\x9c", b"\x78\xda", b"\x78\x5e") for position in _all(data, magic)
    }
    for position in starts:
        yield from _inflate(data, position, zlib.MAX_WBITS)
    for position in _all(data, b"\x1f\x8b\x08"):
        yield from _inflate(data, position, zlib.MAX_WBITS | 16)
    for position in _all(data, b"PK\x03\x04"):
        name, extra = (int.from_bytes(data[position + at : position + at + 2], "little") for at in (26, 28))
        yield from _inflate(data, position + 30 + name + extra, -zlib.MAX_WBITS)


def _all(data: bytes, magic: bytes) -> Iterator[int]:
    position = data.find(magic)
    while position >= 0:
        yield position
        position = data.find(magic, position + 1)


def _inflate(data: bytes, position: int, bits: int) -> Iterator[bytes]:
    with contextlib.suppress(zlib.error):
        # A view, since nearly all begin nowhere, and a copy of a megabyte for each would be most of the work.
        piece = memoryview(data)[position : position + 1_000_000]
        if found := zlib.decompressobj(bits).decompress(piece, 10_000_000):
            yield found
