"""What stands on both sides of a gateway in its tests: a stand-in for the SuperLink, and a plain caller."""

import contextlib
import http.client
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.server.gateway.certificates import Authority
from tests.server.gateway.members import Members

PULL = "/v1/fleet/pull-messages"

# Another address of this machine.
ANOTHER = "127.0.0.2"

# What a hospital may not ask for, plainly and in disguise.
FORBIDDEN = [
    "/v1/fleet/register-node",
    "/v1/fleet/unregister-node",
    "/v1/control/start-run",
    "/v1/control/register-node",
    "/v1/runtime/acquire-task",
    "/docs",
    "/openapi.json",
    "/",
    "*",
    "/v1/fleet/../control/start-run",
    "/v1/fleet/pull-messages/../../control/start-run",
    "/v1/control/../fleet/pull-messages",
    "/v1/fleet/%2e%2e/control/start-run",
    "/v1/fleet/..%2fcontrol/start-run",
    "/v1/fleet/pull%2dmessages",
    "/%761/fleet/pull-messages",
    "//v1/fleet/pull-messages",
    "/v1//fleet/pull-messages",
    "/v1/fleet//pull-messages",
    "/v1/fleet/./pull-messages",
    "/v1/fleet/pull-messages/",
    "/v1/fleet/pull-messages;x",
    "/v1/fleet/pull-messages?x=1",
    "/v1/fleet/pull-messages#x",
    "/v1/fleet/pull-messages%00",
    "/v1/fleet/pull-messages%0d%0aX:1",
    "/V1/Fleet/Pull-Messages",
    "\\v1\\fleet\\pull-messages",
    "https://127.0.0.1/v1/control/start-run",
    "https://127.0.0.1/v1/fleet/pull-messages",
    "/health?x=1",
    "/health/",
]


@dataclass
class Upstream:
    """Records what reaches it, and answers as it is told to."""

    port: int = 0
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"reply"
    torn: bool = False
    # Cleared, it lets its callers wait.
    go_on: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def upstream_with(authority: Authority) -> Iterator[Upstream]:
    """Run a stand-in SuperLink over TLS."""
    upstream = Upstream()
    upstream.go_on.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version = "secret-upstream"
        disable_nagle_algorithm = True

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            upstream.requests.append((self.requestline, {k.lower(): v for k, v in self.headers.items()}, body))
            upstream.go_on.wait(30)
            self.send_response(upstream.status)
            for name, value in {"content-length": str(len(upstream.body)), **upstream.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(OSError):  # the gateway may have given up
                self.wfile.write(upstream.body[: 3 if upstream.torn else None])
            self.close_connection = True

        do_GET = do_POST = do_PUT = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("upstream"))
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    upstream.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield upstream
    finally:
        upstream.go_on.set()
        server.shutdown()
        server.server_close()


@dataclass
class Door:
    """A running gateway, and how to call it."""

    port: int
    ca: Path
    process: subprocess.Popen[str]
    log: Path
    # None: nobody signs, as before a proxy that does not ask for it.
    members: Members | None = None

    def connect(self, source: str = "127.0.0.1", identity: tuple[Path, Path] | None = None) -> ssl.SSLSocket:
        """Return a TLS connection from an address of this machine."""
        context = ssl.create_default_context(cafile=str(self.ca))
        if identity:
            context.load_cert_chain(*identity)
        plain = socket.create_connection(("127.0.0.1", self.port), 20, (source, 0))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return context.wrap_socket(plain, server_hostname="127.0.0.1")

    def send(self, head: bytes, body: bytes = b"", **connection: object) -> http.client.HTTPResponse:
        """Send bytes as they are and return the answer, its body read into `text`."""
        sock = self.connect(**connection)  # type: ignore[arg-type]
        with sock:
            sock.sendall(head + body)
            return answer_on(sock)

    def call(
        self,
        target: str = PULL,
        body: bytes = b"x",
        method: str = "POST",
        headers: dict[str, str] | None = None,
        hospital: str | None = "north",
        **connection: object,
    ) -> http.client.HTTPResponse:
        """Send a request with a body, as a hospital or as a stranger, and return the answer."""
        return self.send(self.head(target, len(body), method, headers, hospital), body, **connection)

    def head(
        self,
        target: str,
        length: int,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        hospital: str | None = "north",
    ) -> bytes:
        """Return the head of a request that a hospital signs; None: nobody."""
        signature = self.members.signature(hospital) if self.members and hospital else {}
        return head(target, length, method, {**signature, **(headers or {})})


def head(target: str, length: int, method: str = "POST", headers: dict[str, str] | None = None) -> bytes:
    """Return the head of a request."""
    fields = {"host": "gateway", "content-length": str(length), **(headers or {})}
    return "".join([f"{method} {target} HTTP/1.1\r\n", *(f"{k}: {v}\r\n" for k, v in fields.items()), "\r\n"]).encode()


def answer_on(sock: ssl.SSLSocket) -> http.client.HTTPResponse:
    """Read an answer; its body is in `text`."""
    answer = http.client.HTTPResponse(sock)
    answer.begin()
    answer.text = answer.read()  # type: ignore[attr-defined]
    return answer


def command(upstream: int, authority: Authority, *options: str) -> list[str]:
    """Return the command line of a gateway in front of a port of this machine."""
    certificate, key = authority.issue("gateway")
    return [
        *(sys.executable, "-m", "server.gateway", "--listen", "127.0.0.1", "--port", "0"),
        *("--upstream", f"https://127.0.0.1:{upstream}", "--upstream-ca", str(authority.path)),
        *("--certificate", str(certificate), "--key", str(key)),
        *("--folder", str(authority.members.folder.root), *options),
    ]


@contextlib.contextmanager
def gateway_for(upstream: int, authority: Authority, log: Path, *options: str, **limits: float) -> Iterator[Door]:
    """Run a gateway until the end of the block."""
    for name, value in limits.items():
        options += ("--limit", f"{name}={value}")
    with log.open("w") as stream:
        process = subprocess.Popen(
            command(upstream, authority, *options), stdout=subprocess.PIPE, stderr=stream, text=True
        )
    try:
        assert process.stdout is not None
        words = process.stdout.readline().split()
        assert words, log.read_text()
        yield Door(int(words[words.index("port") + 1].strip(",")), authority.path, process, log, authority.members)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()  # type: ignore[union-attr]


@contextlib.contextmanager
def a_call_in_hand(door: Door, upstream: Upstream, hospital: str = "north") -> Iterator[None]:
    """Keep one call waiting for the upstream."""
    upstream.go_on.clear()
    caller = threading.Thread(target=door.call, kwargs={"hospital": hospital})
    caller.start()
    try:
        while not upstream.requests:
            time.sleep(0.05)
        yield
    finally:
        upstream.go_on.set()
        caller.join()


def refused(answer: http.client.HTTPResponse) -> bool:
    """Say whether the gateway refused, for now."""
    return (answer.status, answer.getheader("retry-after"), answer.text) == (503, "5", b"refused\n")
