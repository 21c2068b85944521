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

    One event loop does all of it: two threads may not use one TLS connection at once, and one that reads while the
    other writes crashes now and then.

    Parameters
    ----------
    certificate, key : Path
        By which it passes for the server.
    ca : Path
        By which it trusts the server.
    target : int
        Port of the server on localhost.
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
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Recorder":
        self._thread.start()
        starting = asyncio.start_server(self._relay, sock=self._listener, ssl=self._accepts)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(timeout=10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    async def _relay(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            server, to_server = await asyncio.open_connection(
                "localhost", self._target, ssl=self._trusts, server_hostname="localhost"
            )
            kept = bytearray()
            self.sent.append(kept)
            await asyncio.gather(_pump(client, to_server, kept), _pump(server, to_client, None))
        to_client.close()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, kept: bytearray | None) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(65536):
            if kept is not None:
                kept += data
            target.write(data)
            await target.drain()
    target.close()


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
        if found := zlib.decompressobj(bits).decompress(data[position : position + 1_000_000], 10_000_000):
            yield found
