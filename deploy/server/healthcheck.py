"""A container's health check: ends with 0 if the gateway answers and reaches the SuperLink."""

import os
import ssl
import sys
from pathlib import Path

from common.system.proxies import open_directly
from server.members.consortium import read_consortium
from server.members.server_folder import FOLDER_VARIABLE, ServerFolder

_SECONDS = 10


def main() -> None:
    """Ask the gateway once."""
    folder = ServerFolder(Path(os.environ[FOLDER_VARIABLE]))
    server = read_consortium(folder.consortium).server
    trusted = ssl.create_default_context(cafile=str(folder.certificate("ca")))
    # The certificate names the host that hospitals connect to; this asks from inside the container.
    trusted.check_hostname = False
    try:
        with open_directly(f"https://127.0.0.1:{server.port}/health", _SECONDS, trusted):
            pass
    except OSError as error:
        sys.exit(f"unhealthy: {error}")


if __name__ == "__main__":
    main()
