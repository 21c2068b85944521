"""How often a hospital's processes give a sign of life: Flower's one constant, set by the hospital's file.

The server, and the SuperNode for its tasks, take for dead who is silent for twice as long.
"""

import os
from importlib import import_module

HEARTBEAT_VARIABLE = "RAREFED_HEARTBEAT_SECONDS"
"""Tells the daemon's processes the hospital file's `heartbeat_seconds`."""

# Each of these has imported the constant for itself: the calls to the server, the sender, the SuperNode's task list.
MODULES = (
    "flwr.supernode.fleet_http_connection",
    "flwr.supercore.heartbeat",
    "flwr.supercore.corestate.in_memory_corestate",
)
CONSTANT = "HEARTBEAT_DEFAULT_INTERVAL"


def set_heartbeat() -> None:
    """Give this process the heartbeat of its environment; without one Flower's own stays."""
    if seconds := os.environ.get(HEARTBEAT_VARIABLE):
        for module in MODULES:
            setattr(import_module(module), CONSTANT, int(seconds))
