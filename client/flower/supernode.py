"""Flower's SuperNode in a process that says when it last reached the server, and that ends when its work does.

A bare `flower-supernode` whose work loop ended (one odd answer of the server is enough) stays alive, offline, for ever.
Here the process ends with the loop, so that the daemon starts it again; and every contact with the server leaves its
time in a file, by which the daemon tells a silent SuperNode from a working one. Flower tries a lost connection again,
but ends its loop on every trouble with TLS, also if the line only broke during a handshake: here that is tried again
too, since the server would wait for the rest of an interrupted upload for minutes.
"""

import contextlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import httpx
from flwr.supernode.cli.flower_supernode import flower_supernode
from flwr.supernode.fleet_http_client import FleetHttpClient

from client.flower.heartbeat import set_heartbeat

CONTACT_VARIABLE = "RAREFED_CONTACT_FILE"
"""Names the file whose time of change is that of the last contact."""

# OpenSSL's names for a line that broke or garbled what passed, as opposed to a server that is not to be trusted.
_BROKEN = ("UNEXPECTED_EOF_WHILE_READING", "BAD_RECORD_MAC")


def main() -> None:
    """Run the SuperNode; takes the arguments of `flower-supernode`."""
    contact = Path(os.environ[CONTACT_VARIABLE])
    set_heartbeat()
    for call in ("ActivateNode", "SendNodeHeartbeat"):
        setattr(FleetHttpClient, call, _noting(getattr(FleetHttpClient, call), contact))
    FleetHttpClient._unary_unary = _telling_broken_lines(FleetHttpClient._unary_unary)  # type: ignore[method-assign]
    code = 1
    try:
        flower_supernode()
    except SystemExit as ending:
        code = ending.code if isinstance(ending.code, int) else 1
    except BaseException:  # noqa: BLE001 - to the log, before the process ends whatever threads it has
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    # Flower's own HTTP server runs in a thread that would keep the process alive.
    os._exit(code)


def _noting(call: Any, contact: Path) -> Any:
    def noted(self: FleetHttpClient, request: Any) -> Any:
        response = call(self, request)
        # On a disk that became read-only the daemon may take us for offline; the server must not.
        with contextlib.suppress(OSError):
            contact.touch()
        return response

    return noted


def _telling_broken_lines(call: Any) -> Any:
    """Have a call say that the line broke in words that Flower does not take for a refusal: none may name TLS."""

    def told(self: FleetHttpClient, **request: Any) -> Any:
        try:
            return call(self, **request)
        except httpx.TransportError as error:
            if any(name in str(error) for name in _BROKEN):
                raise type(error)("the connection broke") from error
            raise

    return told


if __name__ == "__main__":
    main()
