"""Whose a socket of this machine is, as the system tells it."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.system import loopback
from common.system.loopback import KNOWN, accepting_users, holder_words, listening_users, unknown_words
from common.system.users import user_words

ME = os.geteuid()
HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
pytestmark = pytest.mark.skipif(not KNOWN, reason="this system does not say whose a socket is")


@pytest.fixture(params=["127.0.0.1", "::"])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    """One of IPv4, and one of IPv6 that takes connections of IPv4 too."""
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    both = {"dualstack_ipv6": True} if family == socket.AF_INET6 else {}
    with socket.create_server((request.param, 0), family=family, **both) as listening:
        yield listening


def connect(listener: socket.socket) -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.getsockname()[1]))


def test_who_accepted_a_connection_is_known(listener: socket.socket) -> None:
    with connect(listener) as connection, listener.accept()[0]:
        assert accepting_users(connection, 5) == {ME}


def test_a_connection_that_nobody_accepts_is_nobodys(listener: socket.socket) -> None:
    with connect(listener) as connection:
        assert accepting_users(connection, 0.1) == set()


def test_a_connection_may_be_accepted_late(listener: socket.socket) -> None:
    accepted = []

    def accept() -> None:
        time.sleep(0.2)
        accepted.append(listener.accept()[0])

    with connect(listener) as connection:
        thread = threading.Thread(target=accept)
        thread.start()
        assert accepting_users(connection, 10) == {ME}
        thread.join()
    accepted[0].close()


def test_who_listens_is_known(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    assert listening_users(port) == {ME}
    assert holder_words(port) == "another program of this user"
    listener.close()
    assert listening_users(port) == set()


def test_a_connection_of_no_process_is_nobodys_although_the_table_names_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    """So older kernels show a connection that waits to be accepted: as root's, without an inode."""
    with connect(listener) as connection:
        here, there = connection.getsockname()[1], connection.getpeername()[1]
        row = "0: 0100007F:{:04X} 0100007F:{:04X} 01 00000000:00000000 00:00000000 00000000 {} 0 {} 1 0 20 4 30 10 -1\n"
        table = tmp_path / "tcp"
        monkeypatch.setattr(loopback, "_TABLES", (str(table), str(tmp_path / "tcp6")))
        table.write_text(HEAD + row.format(there, here, 0, 0))
        assert accepting_users(connection, 0) == set()
        table.write_text(HEAD + row.format(there, here, 0, 0) + row.format(there, here, 1000, 77))
        assert accepting_users(connection, 0) == {1000}
        table.unlink()
        with pytest.raises(FileNotFoundError):
            accepting_users(connection, 0)


def test_users_are_named_where_they_have_a_name() -> None:
    assert user_words(0) == "user root (uid 0)"
    assert user_words(2**31 - 5) == f"uid {2**31 - 5}"


def test_a_machine_that_does_not_say_whose_a_connection_is_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unknown_words() is None
    tables = [tmp_path / "tcp", tmp_path / "tcp6"]
    monkeypatch.setattr(loopback, "_TABLES", [str(table) for table in tables])
    assert "tcp: No such file" in str(unknown_words())
    for table in tables:
        table.write_text(HEAD)
    assert "does not name" in str(unknown_words())
