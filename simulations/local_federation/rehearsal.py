"""A whole federation on one machine: the real commands, processes, certificates and keys, only the distance is missing.

`make demo` shows it, and the tests of the production side stand on it.
"""

import contextlib
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import tomli_w
import yaml

from common.errors import RunError
from common.system.ports import free_ports
from server.members.server_folder import FOLDER_VARIABLE

_LOOPBACK = "127.0.0.1"
_START_SECONDS = 120
_STOP_SECONDS = 90


class Rehearsal:
    """A server and hospitals in folders below one; use as a context manager: leaving it stops every process.

    Parameters
    ----------
    folder : Path
        Gets `consortium.yaml`, `federation/` (the server's) and `hospitals/<name>/`; must be empty or absent.
    images : mapping of str to Path
        By hospital: its images.
    say : callable
        Takes one line for everything that happens: commands as they could be typed, and what they print.
    runs : Path or None
        Where the run folders go; None: below the server's folder.
    rules : mapping of str to dict
        By hospital: changes to the rules in its `hospital.yaml`.
    address : str
        On which the gateway listens.
    enter : mapping of str to sequence of str
        By hospital: what stands before its commands, such as ``ip netns exec ...``.
    """

    def __init__(
        self,
        folder: Path,
        images: Mapping[str, Path],
        say: Callable[[str], None] = lambda line: None,
        runs: Path | None = None,
        rules: Mapping[str, Mapping[str, Any]] | None = None,
        address: str = _LOOPBACK,
        enter: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.server_folder = self.folder / "federation"
        self.runs = runs.absolute() if runs else self.server_folder / "runs"
        self._images = images
        self._say = say
        self._rules = rules or {}
        self._address = address
        self._host = "localhost" if address == _LOOPBACK else address
        self._enter = enter or {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.port, self._superlink_port, *rest = free_ports(2 + 2 * len(images))
        self._ports = {name: (rest[2 * number], rest[2 * number + 1]) for number, name in enumerate(images)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def hospitals(self) -> tuple[str, ...]:
        """The hospitals' names."""
        return tuple(self._images)

    @property
    def running(self) -> tuple[str, ...]:
        """The background processes, by name: "server" and hospitals."""
        return tuple(self._processes)

    def place(self, hospital: str) -> Path:
        """Return a hospital's folder."""
        return self.folder / "hospitals" / hospital

    def hospital_file(self, hospital: str) -> Path:
        """Return a hospital's `hospital.yaml`."""
        return self.place(hospital) / "hospital.yaml"

    def provision(self) -> None:
        """Write the consortium file and make CA, certificates and start kits."""
        self.folder.mkdir(parents=True, exist_ok=True)
        consortium = {
            "name": "demo",
            "server": {
                "host": self._host,
                "port": self.port,
                "listen": self._address,
                "superlink_port": self._superlink_port,
                "runs": str(self.runs),
            },
            "hospitals": [{"name": name} for name in self._images],
        }
        path = self.folder / "consortium.yaml"
        path.write_text(yaml.safe_dump(consortium, sort_keys=False))
        self.server("provision", str(path))

    def join(self, hospital: str) -> None:
        """Unpack a hospital's start kit, fill in its file, make its key, and have the coordinator approve it."""
        place = self.place(hospital)
        with zipfile.ZipFile(self.server_folder / "kits" / f"{hospital}.zip") as kit:
            kit.extractall(place)
        runtime, health = self._ports[hospital]
        changes: dict[str, Any] = {
            "data": {"path": str(self._images[hospital].absolute())},
            "ports": {"runtime": runtime, "health": health},
            "rules": dict(self._rules.get(hospital, {})),
        }
        self.change(hospital, changes)
        self.hospital(hospital, "enroll")
        self.server("approve", str(place / f"{hospital}.request.json"), "--yes")

    def change(self, hospital: str, changes: Mapping[str, Any]) -> None:
        """Change fields of a hospital's file, as its IT would with an editor; sections are merged."""
        path = self.hospital_file(hospital)
        content = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            content[key] = {**(content.get(key) or {}), **value} if isinstance(value, Mapping) else value
        path.write_text(yaml.safe_dump(content, sort_keys=False))

    def start_server(self) -> None:
        """Start the server in the background and wait until its gateway serves."""
        self._start("server", ["rarefed-server", "start"], self.folder)
        self.wait_for("the server to serve", self._gateway_serves)

    def start_hospital(self, hospital: str) -> None:
        """Start a hospital's daemon in the background."""
        self._start(hospital, ["rarefed-hospital", "start"], self.place(hospital))

    def wait_online(self, hospital: str) -> None:
        """Wait until a hospital's daemon says that the server hears of it."""
        self.wait_for(f"{hospital} to be online", lambda: self.hospital_status(hospital).get("online", False))

    def run(self, plan: Mapping[str, Any], *options: str) -> int:
        """Launch a federation by a plan of dotted keys, follow it, and return the exit code."""
        nested: dict[str, dict[str, Any]] = {}
        for key, value in plan.items():
            group, name = key.split(".")
            nested.setdefault(group, {})[name] = value
        path = self.folder / "plan.toml"
        path.write_bytes(tomli_w.dumps(nested).encode())
        return self.server("run", str(path), *options, check=False).returncode

    def server(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the coordinator and return what it printed."""
        return self._command("server", ["rarefed-server", *arguments], self.folder, check)

    def hospital(self, hospital: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of a hospital's IT in its folder and return what it printed."""
        return self._command(hospital, ["rarefed-hospital", *arguments], self.place(hospital), check)

    def hospital_status(self, hospital: str) -> dict[str, Any]:
        """Return what a daemon says of itself; empty before it says anything."""
        try:
            return dict(json.loads((self.place(hospital) / "state" / "daemon.json").read_bytes()))
        except (OSError, ValueError):
            return {}

    def log(self, process: str) -> str:
        """Return what a background process ("server" or a hospital) printed."""
        return (self.folder / f"{process}.out").read_text()

    def kill(self, process: str, number: int = signal.SIGKILL) -> None:
        """Send a signal to a background process and wait for its end."""
        running = self._processes.pop(process)
        running.send_signal(number)
        running.wait(_STOP_SECONDS)

    def process_id(self, process: str) -> int:
        """Return the process id of a background process ("server" or a hospital)."""
        return self._processes[process].pid

    def stop(self) -> None:
        """Stop hospitals and server as their owners would; complain if one does not end cleanly."""
        unclean = []
        for process in self._processes.values():
            process.send_signal(signal.SIGTERM)
        for name, process in self._processes.items():
            try:
                code = process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                code = process.wait()
            self._say(f"{name}: stopped, exit code {code}")
            unclean += [f"{name} ended with exit code {code}"] * (code != 0)
        self._processes.clear()
        if unclean and sys.exception() is None:
            raise RunError("; ".join(unclean))

    @property
    def _server_environment(self) -> dict[str, str]:
        return {FOLDER_VARIABLE: str(self.server_folder)}

    def _start(self, who: str, command: Sequence[str], folder: Path) -> None:
        self._say(f"{folder.name}$ {' '.join(command)} &")
        with (self.folder / f"{who}.out").open("ab") as log:
            self._processes[who] = subprocess.Popen(
                self._located(who, command),
                cwd=folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _command(self, who: str, command: Sequence[str], folder: Path, check: bool) -> subprocess.CompletedProcess[str]:
        self._say(f"{folder.name}$ {' '.join(command)}")
        process = subprocess.Popen(
            self._located(who, command),
            cwd=folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            self._say(f"    {line.rstrip()}")
        code = process.wait()
        if check and code:
            raise RunError(f"`{' '.join(command)}` ended with exit code {code}: {''.join(lines).strip()}")
        return subprocess.CompletedProcess(command, code, "".join(lines))

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, FOLDER_VARIABLE: str(self.server_folder)}

    def _located(self, who: str, command: Sequence[str]) -> list[str]:
        return [*self._enter.get(who, ()), str(Path(sys.executable).parent / command[0]), *command[1:]]

    def wait_for(self, what: str, done: Callable[[], bool]) -> None:
        """Wait until `done()`; complain if a background process ends before that, or it takes too long."""
        deadline = time.monotonic() + _START_SECONDS
        while not done():
            for name, process in self._processes.items():
                if process.poll() is not None:
                    raise RunError(f"{name} ended with exit code {process.returncode}: {self.log(name)[-2000:]}")
            if time.monotonic() > deadline:
                raise RunError(f"waited {_START_SECONDS} s for {what}; see the logs in {self.folder}")
            time.sleep(0.3)

    def _gateway_serves(self) -> bool:
        trust = ssl.create_default_context(cafile=str(self.server_folder / "pki" / "ca.crt"))
        connection = http.client.HTTPSConnection(self._host, self.port, timeout=2, context=trust)
        with contextlib.suppress(OSError), contextlib.closing(connection):
            connection.request("GET", "/health")
            return connection.getresponse().status == http.client.OK
        return False
