"""Flower's SuperNode in a process that says when it last reached the server, and that ends when its work does.

A bare `flower-supernode` whose work loop ended (one odd answer of the server is enough) stays alive, offline, for ever.
Here the process ends with the loop, so that the daemon starts it again; and every contact with the server leaves its
time in a file, by which the daemon tells a silent SuperNode from a working one.
"""

import contextlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any

from flwr.supernode.cli.flower_supernode import flower_supernode
from flwr.supernode.fleet_http_client import FleetHttpClient

from client.heartbeat import set_heartbeat

CONTACT_VARIABLE = "RAREFED_CONTACT_FILE"
"""Names the file whose time of change is that of the last contact."""


def main() -> None:
    """Run the SuperNode; takes the arguments of `flower-supernode`."""
    contact = Path(os.environ[CONTACT_VARIABLE])
    set_heartbeat()
    for call in ("ActivateNode", "SendNodeHeartbeat"):
        setattr(FleetHttpClient, call, _noting(getattr(FleetHttpClient, call), contact))
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


if __name__ == "__main__":
    main()
