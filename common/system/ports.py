"""Ports: those that are free, and why one cannot be listened on."""

import contextlib
import socket


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Return that many different ports that are free at this moment; another program may take one before it is used.

    Parameters
    ----------
    count : int
    address : str
        At which they are to be listened on; empty: all of this machine's.
    """
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((address, 0))
        return [each.getsockname()[1] for each in sockets]


def is_free(port: int) -> bool:
    """Say whether nobody listens on a port at this moment."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(address: str = "127.0.0.1") -> int:
    """Return one port that is free at this moment, as `free_ports` does."""
    return free_ports(1, address)[0]


def why_not_listening(error: OSError) -> str:
    """Return the reason alone: `socket.create_server` adds the address, which the error's line has named already."""
    return str(error.strerror).partition(" (while attempting to bind")[0]
