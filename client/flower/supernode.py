"""Flower's SuperNode, in a process that records each contact with the server and ends when its work loop ends.

A bare `flower-supernode` whose work loop ended (one odd answer of the server is enough) stays alive, offline, for ever.
Here the process ends with the loop, so that the daemon starts it again. Every contact with the server touches a file,
by which the daemon tells a silent SuperNode from a working one. Flower retries a lost connection, but ends its loop on
every TLS error, even if the line only broke during a handshake. Here that is retried too, since the server would wait
for the rest of an interrupted upload for minutes. And what the server sends is bounded, before it is in memory.
"""

import contextlib
import os
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

import httpx
from flwr.supernode.cli.flower_supernode import flower_supernode
from flwr.supernode.fleet_http_client import FleetHttpClient

from client.flower.heartbeat import CONTACT_VARIABLE, FILE_VARIABLE, set_heartbeat
from client.flower.message_intake import MessageIntake
from client.rules.hospital_file import read_hospital_file
from client.rules.policy import LEAST_MESSAGE, message_bound
from common.errors import RarefedError
from common.protocol.message_size import SizeBound
from common.system.header_lines import read_header_lines_in_linear_time

# OpenSSL's names for a line that broke or damaged data, as opposed to a server that cannot be trusted.
_BROKEN = ("UNEXPECTED_EOF_WHILE_READING", "BAD_RECORD_MAC")

# A backstop, for what a server might make Flower keep beside the message: many times what was ever needed.
_MEMORY, _MESSAGES = 2**30, 4


def main() -> None:
    """Run the SuperNode with the command-line arguments of `flower-supernode`."""
    contact = Path(os.environ[CONTACT_VARIABLE])
    set_heartbeat()
    read_header_lines_in_linear_time()
    for call in ("ActivateNode", "SendNodeHeartbeat"):
        setattr(FleetHttpClient, call, _touching(getattr(FleetHttpClient, call), contact))
    bound = _MessageBound(Path(os.environ[FILE_VARIABLE]))
    MessageIntake(bound).install()
    _limit_memory(_MEMORY + _MESSAGES * bound().whole)
    FleetHttpClient._unary_unary = _retrying_broken_lines(FleetHttpClient._unary_unary)  # type: ignore[method-assign]
    code = 1
    try:
        flower_supernode()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
    except BaseException:  # noqa: BLE001 - to the log; the process ends below
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    # Flower's own HTTP server runs in a thread that would keep the process alive.
    os._exit(code)


def _limit_memory(size: int) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    size = size if hard == resource.RLIM_INFINITY else min(size, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))


class _MessageBound:
    """How large a message may be by the hospital's rules, which are read anew for each."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._last = LEAST_MESSAGE

    def __call__(self) -> SizeBound:
        # While it cannot be read, the runner answers every message by saying so.
        with contextlib.suppress(RarefedError, OSError):
            self._last = message_bound(read_hospital_file(self._file).rules)
        return self._last


def _touching(call: Any, contact: Path) -> Any:
    def touching(self: FleetHttpClient, request: Any) -> Any:
        response = call(self, request)
        # On a disk that became read-only the daemon may take this process for offline, but the server must not.
        with contextlib.suppress(OSError):
            contact.touch()
        return response

    return touching


def _retrying_broken_lines(call: Any) -> Any:
    """Wrap a call so that Flower retries when the line broke: it takes any error that names TLS for final."""

    def calling(self: FleetHttpClient, **request: Any) -> Any:
        try:
            return call(self, **request)
        except httpx.TransportError as error:
            if any(name in str(error) for name in _BROKEN):
                raise type(error)("the connection broke") from error
            raise

    return calling


if __name__ == "__main__":
    main()
