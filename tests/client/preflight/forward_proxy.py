"""A forward proxy that leads every tunnel to one port of this machine, or answers as it is told to."""

import contextlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ForwardProxy(ThreadingHTTPServer):
    """Use as a context manager.

    Parameters
    ----------
    target : int
        Port of localhost that all tunnels lead to.
    status : int
        What it answers to a CONNECT; only with 200 there is a tunnel.
    asks_for : str
        Its ``Proxy-Authenticate`` header, if any.

    Attributes
    ----------
    url : str
        For a variable such as https_proxy.
    asked : list of str
        The targets of all CONNECTs.
    logins : list of str or None
        Their ``Proxy-Authorization``.
    """

    daemon_threads = True

    def __init__(self, target: int, status: int = 200, asks_for: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.target, self.status, self.asks_for = target, status, asks_for
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[str] = []
        self.logins: list[str | None] = []

    def __enter__(self) -> "ForwardProxy":
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _Answer(BaseHTTPRequestHandler):
    server: ForwardProxy

    def do_CONNECT(self) -> None:
        proxy = self.server
        proxy.asked.append(self.path)
        proxy.logins.append(self.headers["Proxy-Authorization"])
        self.send_response(proxy.status)
        if proxy.asks_for:
            self.send_header("Proxy-Authenticate", proxy.asks_for)
        self.end_headers()
        if proxy.status == 200:
            with socket.create_connection(("127.0.0.1", proxy.target)) as server:
                back = threading.Thread(target=_copy, args=(server, self.connection), daemon=True)
                back.start()
                _copy(self.connection, server)
                back.join()
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
