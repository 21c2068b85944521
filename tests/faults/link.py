"""The way between a hospital and the server, which can be cut, fall silent, grow slow and damage what passes."""

import contextlib
import socket
import struct
import threading
import time

_CHUNK = 65536
_LINGER_NOT = struct.pack("ii", 1, 0)  # closing resets the connection, as a router does that lost it


class Link:
    """Passes TCP connections on to a port of this machine; use as a context manager.

    Parameters
    ----------
    target : int
        Port of the server on localhost.

    Attributes
    ----------
    port : int
        On localhost, for the client.
    damaged : int
        How many pieces were damaged so far.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_cut = False
        self._passes = threading.Event()
        self._bytes_per_second = float("inf")
        self._damages = False
        self.damaged = 0
        self.mend()

    def __enter__(self) -> "Link":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        self._listener.close()

    def cut(self) -> None:
        """Reset all connections, and every new one."""
        with self._lock:
            self._is_cut = True
            for each in self._open:
                _reset(each)
            self._open.clear()

    def silence(self) -> None:
        """Let nothing pass, and tell nobody: connections stay open, as behind a firewall that forgot them."""
        self._passes.clear()

    def slow(self, bytes_per_second: float) -> None:
        """Let only so much pass in each direction of each connection."""
        self._bytes_per_second = bytes_per_second

    def damage(self) -> None:
        """Flip one bit of the next piece that the client sends."""
        self._damages = True

    def mend(self) -> None:
        """Let everything pass as it is."""
        self._is_cut, self._damages, self._bytes_per_second = False, False, float("inf")
        self._passes.set()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                with self._lock:
                    if self._is_cut:
                        _reset(client)
                        continue
                    try:
                        server = socket.create_connection(("localhost", self._target))
                    except OSError:
                        _reset(client)
                        continue
                    self._open |= {client, server}
                for source, sink, upwards in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._pump, args=(source, sink, upwards), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, upwards: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(_CHUNK):
                self._passes.wait()
                if upwards and self._damages:
                    self._damages = False
                    self.damaged += 1
                    data = data[:-1] + bytes([data[-1] ^ 1])
                sink.sendall(data)
                time.sleep(len(data) / self._bytes_per_second)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)
        with self._lock:
            self._open.discard(source)


def _reset(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()
