"""The recorder passes on what it hears, while both ends talk at once."""

import asyncio
import ssl
from pathlib import Path

from tests.production.recorder import Recorder
from tests.server.gateway.certificates import Authority

CONNECTIONS = 8
PIECES = [bytes([number]) * 50_000 for number in range(100)]


async def say_and_hear(port: int, tls: ssl.SSLContext) -> bytes:
    """Send all pieces to an echo and return what comes back meanwhile."""
    reader, writer = await asyncio.open_connection("localhost", port, ssl=tls)

    async def say() -> None:
        for piece in PIECES:
            writer.write(piece)
            await writer.drain()

    said = asyncio.create_task(say())
    heard = await reader.readexactly(sum(map(len, PIECES)))
    await said
    writer.close()
    return heard


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


def test_it_bears_both_directions_at_once(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.issue("server")
    serves = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serves.load_cert_chain(certificate, key)
    trusts = ssl.create_default_context(cafile=str(authority.path))

    async def converse() -> list[bytes]:
        async with await asyncio.start_server(echo, "localhost", 0, ssl=serves) as server:
            with Recorder(certificate, key, authority.path, server.sockets[0].getsockname()[1]) as recorder:
                both = [say_and_hear(recorder.port, trusts) for _ in range(CONNECTIONS)]
                heard = await asyncio.gather(*both)
        assert [bytes(each) for each in recorder.sent] == [b"".join(PIECES)] * CONNECTIONS
        return heard

    assert asyncio.run(converse()) == [b"".join(PIECES)] * CONNECTIONS
