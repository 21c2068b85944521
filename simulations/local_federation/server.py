"""The server of a local federation, through its coordinator's commands."""

import contextlib
import dataclasses
import http.client
import ssl
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
import yaml

from server.members.server_folder import FOLDER_VARIABLE
from simulations.local_federation.processes import LocalProcesses
from simulations.local_federation.terminal import Terminal

SERVER = "server"
LOOPBACK = "127.0.0.1"


class LocalServer:
    """The server's folder and commands.

    Parameters
    ----------
    terminal : Terminal
        Where the coordinator works; its folder gets `consortium.yaml` and `plan.toml`.
    processes : LocalProcesses
        Gets the server's process, under the name "server".
    folder : Path
        The server's own.
    runs : Path
        Where the run folders go.
    address : str
        On which the gateway listens.
    ports : tuple of int
        The gateway's and the SuperLink's.

    Attributes
    ----------
    folder, runs : Path
        As given. Whoever moves the server to another folder sets them before it starts again.
    port : int
        The gateway's.
    """

    def __init__(
        self,
        terminal: Terminal,
        processes: LocalProcesses,
        folder: Path,
        runs: Path,
        address: str,
        ports: tuple[int, int],
    ) -> None:
        self.folder = folder
        self.runs = runs
        self.port, self._superlink_port = ports
        self._terminal = terminal
        self._processes = processes
        self._address = address
        self._host = "localhost" if address == LOOPBACK else address

    def provision(self, hospitals: Sequence[str]) -> None:
        """Write the consortium file and make CA, certificates and start kits."""
        self._terminal.folder.mkdir(parents=True, exist_ok=True)
        consortium = {
            "name": "demo",
            "server": {
                "host": self._host,
                "port": self.port,
                "listen": self._address,
                "superlink_port": self._superlink_port,
                "runs": str(self.runs),
            },
            "hospitals": [{"name": name} for name in hospitals],
        }
        path = self._terminal.folder / "consortium.yaml"
        path.write_text(yaml.safe_dump(consortium, sort_keys=False))
        self.command("provision", str(path))

    def start_kit(self, hospital: str) -> Path:
        """Return the archive that `provision` made for a hospital."""
        return self.folder / "kits" / f"{hospital}.zip"

    def start(self) -> None:
        """Start the server in the background and wait until its gateway serves."""
        self._processes.start(SERVER, self._terminal_of_folder(), "rarefed-server", "start")
        self._processes.wait_for("the server to serve", self._gateway_serves)

    def run(self, plan: Mapping[str, Any], *options: str) -> int:
        """Launch a federation by a plan of dotted keys, follow it, and return the exit code."""
        nested: dict[str, dict[str, Any]] = {}
        for key, value in plan.items():
            group, name = key.split(".")
            nested.setdefault(group, {})[name] = value
        path = self._terminal.folder / "plan.toml"
        path.write_bytes(tomli_w.dumps(nested).encode())
        return self.command("run", str(path), *options, check=False).returncode

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `rarefed-server` and return what it printed; with `check`, a failure raises `RunError`."""
        return self._terminal_of_folder().run("rarefed-server", *arguments, check=check)

    def _terminal_of_folder(self) -> Terminal:
        """Return the terminal with the variable that tells `rarefed-server` its folder."""
        return dataclasses.replace(self._terminal, variables={FOLDER_VARIABLE: str(self.folder)})

    def _gateway_serves(self) -> bool:
        trust = ssl.create_default_context(cafile=str(self.folder / "pki" / "ca.crt"))
        connection = http.client.HTTPSConnection(self._host, self.port, timeout=2, context=trust)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", "/health")
            return connection.getresponse().status == http.client.OK
        return False
