"""Who holds the port on which the runner expects the SuperNode, if it is somebody else."""

import os

from common.system.loopback import KNOWN, holder_words, listening_users


def port_problem(port: int, supernode_runs: bool) -> str | None:
    """Return what is wrong with who listens on the SuperNode's port, and how to mend it; None if nothing is known.

    Parameters
    ----------
    port : int
        Of the loopback interface.
    supernode_runs : bool
        Whether the SuperNode has a process, which listens a few seconds after its start.
    """
    try:
        users = listening_users(port) if KNOWN else set()
    except OSError:
        return None
    if not users or (supernode_runs and os.geteuid() in users):
        return None
    return (
        f"port {port}, where the SuperNode must listen, is held by {holder_words(port)}, whom nothing is sent to: end "
        "that program, or choose another port in hospital.yaml (ports.runtime)"
    )
