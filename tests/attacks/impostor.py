"""Whoever answers in a server's or a proxy's place, and says what he likes."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.client.preflight.certificates import Authority

Act = Callable[[socket.socket, threading.Event], None]


@contextlib.contextmanager
def impostor(act: Act, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Listen on a port of this machine; each connection is `act`'s, with an event that is set at the end."""
    ended = threading.Event()
    held: list[socket.socket] = []

    def serve(sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if context is not None:
                sock = context.wrap_socket(sock, server_side=True)
                held.append(sock)
            act(sock, ended)
        sock.close()

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                held.append(listener.accept()[0])
                threading.Thread(target=serve, args=(held[-1],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            for sock in held:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)


def saying(answer: bytes) -> Act:
    """Answer each request so."""

    def act(sock: socket.socket, _: threading.Event) -> None:
        if sock.recv(65536):
            sock.sendall(answer)

    return act


def for_ever(begin: bytes, again: bytes, pause: float = 0) -> Act:
    """Answer each request with a beginning, and then with the same again and again."""

    def act(sock: socket.socket, ended: threading.Event) -> None:
        if sock.recv(65536):
            sock.sendall(begin)
            while not ended.wait(pause):
                sock.sendall(again)

    return act


def shown(folder: Path, change: Callable[[bytes], bytes], name: str = "localhost") -> ssl.SSLContext:
    """Return the context of a server that shows a stranger's certificate (DER), changed as it was not signed."""
    Authority.make().server_context(folder, name)
    certificate, key = (folder / "server.pem").read_bytes().split(b"-----END CERTIFICATE-----\n")
    read = x509.load_pem_x509_certificate(certificate + b"-----END CERTIFICATE-----\n")
    changed = change(read.public_bytes(Encoding.DER))
    pem = folder / "shown.pem"
    pem.write_bytes(ssl.DER_cert_to_PEM_cert(changed).encode() + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
