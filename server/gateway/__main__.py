"""`python -m server.gateway`: the gateway as a process, in the foreground, until SIGTERM or Ctrl-C."""

import asyncio
import resource
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import Annotated

import httpx
import typer
import uvicorn

from common.errors import InputError
from common.system.command_line import run_command_line
from common.system.ports import why_not_listening
from server.gateway.app import Gateway
from server.gateway.connection import Connection
from server.gateway.limits import Limits, limits_with
from server.gateway.lobby import Lobby
from server.gateway.log import limit_log_rate
from server.gateway.member_keys import MemberKeys
from server.gateway.reception import Reception
from server.members.server_folder import ServerFolder

_CONNECT_SECONDS = 5
_BACKLOG = 1024
_MOST_FILES = 2**16

app = typer.Typer(add_completion=False)


class _Server(uvicorn.Server):
    """uvicorn's server without sockets of its own: it keeps the answers' date, and ends connections at its stop."""

    reception: Reception

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nobody any more, then end what goes on."""
        self.reception.close()
        await super().shutdown(sockets)


@app.command()
def _serve(
    upstream: Annotated[str, typer.Option(help="The SuperLink, as https://127.0.0.1:9091.")],
    upstream_ca: Annotated[Path, typer.Option(help="The CA of the SuperLink's certificate (PEM).")],
    certificate: Annotated[Path, typer.Option(help="The federation's server certificate, with its chain (PEM).")],
    key: Annotated[Path, typer.Option(help="The certificate's key (PEM, not encrypted).")],
    folder: Annotated[Path, typer.Option(help="The server's folder: its registry says which hospitals are let in.")],
    listen: Annotated[str, typer.Option(help="The address to listen on.")] = "0.0.0.0",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")] = 8443,
    ca_for_clients: Annotated[Path | None, typer.Option(help="Let in only certificates of this CA (PEM).")] = None,
    limit: Annotated[list[str] | None, typer.Option(help="Set a limit: NAME=NUMBER; may be repeated.")] = None,
) -> None:
    """Let hospitals reach the fleet calls of a SuperLink, and nothing else of it."""
    limits = limits_with(limit or [])
    base = _base_url(upstream)
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _trust(trusted, upstream_ca)
    tls = _server_tls(certificate, key, ca_for_clients)
    members = ServerFolder(folder.absolute())
    if not members.hospitals.is_dir():
        raise InputError(f"--folder {folder}: has no registry of hospitals: `rarefed-server provision` makes one")
    listener = _listen(listen, port)
    limit_log_rate()
    _raise_file_limit()
    # uvicorn sends itself the signal again after its orderly shutdown; the exit code is then 0.
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda *_: sys.exit(0))
    host, taken = listener.getsockname()[:2]
    print(f"gateway: listening on {host} port {taken}, in front of {base}", flush=True)
    asyncio.run(_run(base, trusted, tls, listener, MemberKeys(members), limits))


async def _run(
    base: str,
    trusted: ssl.SSLContext,
    tls: ssl.SSLContext,
    listener: socket.socket,
    keys: MemberKeys,
    limits: Limits,
) -> None:
    client = httpx.AsyncClient(
        base_url=base,
        verify=trusted,
        # A proxy from the environment is for the web, not for loopback.
        trust_env=False,
        headers={"user-agent": "rarefed-gateway", "accept-encoding": "identity"},
        timeout=httpx.Timeout(limits.upstream_seconds, connect=_CONNECT_SECONDS),
        # The SuperLink closes idle connections after 5 s, and a request on a connection that it is closing would fail.
        # How many there are is bounded by the places for requests.
        limits=httpx.Limits(max_connections=None, keepalive_expiry=2),
    )
    async with client:
        lobby = Lobby(limits)
        config = uvicorn.Config(
            Gateway(client, keys, lobby, limits),
            http="h11",
            ws="none",
            lifespan="off",
            timeout_graceful_shutdown=limits.stop_seconds,
            # Otherwise callers could choose their address in the log, by the header X-Forwarded-For.
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
        )
        server = _Server(config)
        server.reception = Reception(
            listener,
            tls,
            lobby,
            limits,
            lambda visit: Connection(config, server.server_state, visit, lobby, limits),
        )
        server.reception.open()
        await server.serve(sockets=[])


def _base_url(upstream: str) -> str:
    try:
        url = httpx.URL(upstream)
    except httpx.InvalidURL:
        url = httpx.URL()
    if url.scheme != "https" or not url.host or url.raw_path != b"/" or url.userinfo or url.fragment:
        raise InputError(f"--upstream {upstream}: needs https://HOST:PORT and nothing behind it")
    return str(url)


def _trust(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(_existing(path))
    except ssl.SSLError:
        raise InputError(f"{path}: holds no CA certificate (PEM)") from None


def _server_tls(certificate: Path, key: Path, ca_for_clients: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # With any password given, OpenSSL does not ask for one on the terminal.
        context.load_cert_chain(_existing(certificate), _existing(key), password="")
    except ssl.SSLError as error:
        raise InputError(f"{certificate} and {key}: no certificate with its key ({error.reason or error})") from None
    if ca_for_clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _trust(context, ca_for_clients)
    return context


def _existing(path: Path) -> Path:
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    return path


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InputError(f"cannot listen on {host} port {port}: {why_not_listening(error)}") from None
    # Connections inherit this option. asyncio sets it only on its own sockets; without it each answer takes 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _raise_file_limit() -> None:
    """Make room for connections: each takes a file."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def main() -> None:
    """Run the gateway."""
    run_command_line(app)


if __name__ == "__main__":
    main()
