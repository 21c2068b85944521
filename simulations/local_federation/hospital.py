"""One hospital of a local federation, through its IT's commands."""

import json
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from simulations.local_federation.processes import LocalProcesses
from simulations.local_federation.terminal import Terminal


class LocalHospital:
    """A hospital's folder and commands.

    Parameters
    ----------
    terminal : Terminal
        Where the hospital's IT works; its folder gets the start kit and the hospital's state.
    processes : LocalProcesses
        Gets the daemon's process, under the hospital's name.
    name : str
        The hospital's.

    Attributes
    ----------
    name : str
        As given.
    folder : Path
        The terminal's.
    """

    def __init__(self, terminal: Terminal, processes: LocalProcesses, name: str) -> None:
        self.name = name
        self.folder = terminal.folder
        self._terminal = terminal
        self._processes = processes

    @property
    def file(self) -> Path:
        """Its `hospital.yaml`."""
        return self.folder / "hospital.yaml"

    @property
    def enrolment_request(self) -> Path:
        """The file with its public key that `enroll` writes for the coordinator."""
        return self.folder / f"{self.name}.request.json"

    def unpack(self, start_kit: Path) -> None:
        """Unpack the start kit into the hospital's folder."""
        with zipfile.ZipFile(start_kit) as kit:
            kit.extractall(self.folder)

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change fields of `hospital.yaml`, as with an editor; sections are merged."""
        content = yaml.safe_load(self.file.read_text())
        for key, value in changes.items():
            content[key] = {**(content.get(key) or {}), **value} if isinstance(value, Mapping) else value
        self.file.write_text(yaml.safe_dump(content, sort_keys=False))

    def start(self) -> None:
        """Start the daemon in the background."""
        self._processes.start(self.name, self._terminal, "rarefed-hospital", "start")

    def wait_online(self) -> None:
        """Wait until the daemon says that the server hears of it."""
        self._processes.wait_for(f"{self.name} to be online", lambda: self.status().get("online", False))

    def status(self) -> dict[str, Any]:
        """Return what the daemon says of itself; empty before it says anything."""
        try:
            return dict(json.loads((self.folder / "state" / "daemon.json").read_bytes()))
        except (OSError, ValueError):
            return {}

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `rarefed-hospital` and return what it printed; with `check`, a failure raises `RunError`."""
        return self._terminal.run("rarefed-hospital", *arguments, check=check)
