"""Which of this machine's users is behind a port of the loopback interface, as far as the system says (Linux).

Every account can listen on a port that is free, and so pose as whoever usually does. /proc/net/tcp names the user of
each socket. A connection that nobody has accepted yet has no socket, and may be said to be root's: here it is nobody's.
"""

import contextlib
import ipaddress
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from common.system.users import user_words

KNOWN = sys.platform == "linux"
"""Whether this system says whose a socket is."""

Address = tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]

_TABLES = ("/proc/self/net/tcp", "/proc/self/net/tcp6")
_LISTENING = "0A"
_LOOK_SECONDS = 0.02


class _Socket(NamedTuple):
    local: Address
    remote: Address
    state: str
    user: int


def accepting_users(connection: socket.socket, patience: float) -> set[int]:
    """Return the users (one, of course) that hold the other end of a connection within this machine.

    Parameters
    ----------
    connection : socket
        A connected TCP socket.
    patience : float
        How many seconds to wait until the connection is accepted.

    Returns
    -------
    set of int
        Empty if nobody has accepted it.

    Raises
    ------
    OSError
        If the system does not say, or the connection is closed.
    """
    there, here = _address(connection.getpeername()), _address(connection.getsockname())
    deadline = time.monotonic() + patience
    while True:
        if users := {each.user for each in _sockets() if (each.local, each.remote) == (there, here)}:
            return users
        if time.monotonic() >= deadline:
            return set()
        time.sleep(_LOOK_SECONDS)


def unknown_words() -> str | None:
    """Return why this machine does not say whose a connection is, as one to itself shows; None if it does."""
    try:
        with contextlib.ExitStack() as opened:
            server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
            server.settimeout(1.0)
            connection = opened.enter_context(socket.create_connection(server.getsockname(), 1.0))
            accepted = None
            while accepted != connection.getsockname():  # a stranger may be faster
                other, accepted = server.accept()
                opened.enter_context(other)
            users = accepting_users(connection, 1.0)
    except OSError as error:
        return f"a connection to itself, looked for in {_TABLES[0]}: {error.strerror or error}"
    return None if users == {os.geteuid()} else f"{_TABLES[0]} does not name this user's own connections"


def listening_users(port: int) -> set[int]:
    """Return the users that listen where a connection to a port of 127.0.0.1 arrives; raises `OSError` as above."""
    return {
        each.user
        for each in _sockets()
        if each.state == _LISTENING and each.local[1] == port and _takes_loopback(each.local[0])
    }


def holder_words(port: int) -> str:
    """Return who listens on a port of the loopback interface that is taken, for a line that says so."""
    try:
        users = listening_users(port) if KNOWN else set()
    except OSError:
        users = set()
    others = sorted(users - {os.geteuid()})
    if others:
        return " and ".join(user_words(each) for each in others)
    return "another program of this user" if users else "another program"


def taken_words(port: int) -> str:
    """Return what is wrong with a port of the loopback interface that this program cannot listen on."""
    return f"port {port} of the loopback interface is taken by {holder_words(port)}"


def _takes_loopback(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_unspecified or address == ipaddress.IPv4Address("127.0.0.1")


def _sockets() -> Iterator[_Socket]:
    """Yield the TCP sockets of this machine that a process holds."""
    for table in _TABLES:
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except FileNotFoundError:
            if table == _TABLES[0]:
                raise
            continue  # a kernel without IPv6
        for line in lines:
            _, local, remote, state, _, _, _, user, _, inode, *_ = line.split()
            if inode != "0":
                yield _Socket(_read(local), _read(remote), state, int(user))


def _read(words: str) -> Address:
    """Return an address as the kernel writes it: words of 32 bits, each in the machine's own order of bytes."""
    digits, port = words.split(":")
    parts = [bytes.fromhex(digits[start : start + 8]) for start in range(0, len(digits), 8)]
    packed = b"".join(part[::-1] if sys.byteorder == "little" else part for part in parts)
    return _plain(ipaddress.ip_address(packed)), int(port, 16)


def _address(name: tuple[str, int]) -> Address:
    return _plain(ipaddress.ip_address(name[0])), name[1]


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return an IPv4 address as one, also where an IPv6 socket has it."""
    return getattr(address, "ipv4_mapped", None) or address
