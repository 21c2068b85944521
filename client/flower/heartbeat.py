"""How often a hospital's processes send a heartbeat: one constant of Flower, set from the hospital's file.

The server takes a SuperNode for dead that was silent for twice as long, and so does the SuperNode with its tasks.
"""

import os
from importlib import import_module

HEARTBEAT_VARIABLE = "RAREFED_HEARTBEAT_SECONDS"
"""Environment variable that gives the daemon's processes the hospital file's `heartbeat_seconds`."""

CONTACT_VARIABLE = "RAREFED_CONTACT_FILE"
"""Environment variable with the path of a file; its modification time is that of the last contact."""

FILE_VARIABLE = "RAREFED_HOSPITAL_FILE"
"""Environment variable with the path of the hospital's own file."""

# Each of these has its own copy of the constant: the calls to the server, the sender, the SuperNode's list of tasks.
MODULES = (
    "flwr.supernode.fleet_http_connection",
    "flwr.supercore.heartbeat",
    "flwr.supercore.corestate.in_memory_corestate",
)
CONSTANT = "HEARTBEAT_DEFAULT_INTERVAL"


def set_heartbeat() -> None:
    """Set this process's heartbeat from its environment; without the variable Flower's own interval holds."""
    if seconds := os.environ.get(HEARTBEAT_VARIABLE):
        for module in MODULES:
            setattr(import_module(module), CONSTANT, int(seconds))
