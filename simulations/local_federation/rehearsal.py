"""A whole federation on one machine, with the production commands, processes, certificates and keys.

`make demo` shows it, and the tests of the production side use it.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from common.system.ports import free_ports
from simulations.local_federation.hospital import LocalHospital
from simulations.local_federation.processes import LocalProcesses
from simulations.local_federation.server import LOOPBACK, LocalServer
from simulations.local_federation.terminal import Terminal


class Rehearsal:
    """A server and hospitals below one folder; use as a context manager: leaving it stops every process.

    Parameters
    ----------
    folder : Path
        Gets `consortium.yaml`, `federation/` (the server's) and `hospitals/<name>/`; must be empty or absent.
    images : mapping of str to Path
        By hospital: its images.
    say : callable
        Takes each line: commands as they could be typed, and what they print.
    runs : Path or None
        Where the run folders go; None: below the server's folder.
    rules : mapping of str to dict
        By hospital: changes to the rules in its `hospital.yaml`.
    address : str
        On which the gateway listens.
    enter : mapping of str to sequence of str
        By hospital: the words before its commands, such as ``ip netns exec ...``.

    Attributes
    ----------
    folder : Path
        As given, absolute.
    processes : LocalProcesses
        The background processes: the server's, under the name "server", and the hospitals', under their names.
    server : LocalServer
        The server.
    hospitals : dict of str to LocalHospital
        By name: the hospitals.
    """

    def __init__(
        self,
        folder: Path,
        images: Mapping[str, Path],
        say: Callable[[str], None] = lambda line: None,
        runs: Path | None = None,
        rules: Mapping[str, Mapping[str, Any]] | None = None,
        address: str = LOOPBACK,
        enter: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.folder = folder.absolute()
        self.processes = LocalProcesses(self.folder, say)
        gateway, superlink, *rest = free_ports(2 + 2 * len(images))
        server_folder = self.folder / "federation"
        self.server = LocalServer(
            Terminal(self.folder, say),
            self.processes,
            server_folder,
            runs=runs.absolute() if runs else server_folder / "runs",
            address=address,
            ports=(gateway, superlink),
        )
        prefixes = enter or {}
        self.hospitals = {
            name: LocalHospital(
                Terminal(self.folder / "hospitals" / name, say, prefixes.get(name, ())), self.processes, name
            )
            for name in images
        }
        self._images = images
        self._rules = rules or {}
        self._ports = dict(zip(images, zip(rest[::2], rest[1::2], strict=True), strict=True))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.stop()

    def provision(self) -> None:
        """Write the consortium file and make CA, certificates and start kits."""
        self.server.provision(tuple(self.hospitals))

    def join(self, hospital: str) -> None:
        """Unpack a hospital's start kit, fill in its file, make its key, and have the coordinator approve it."""
        joining = self.hospitals[hospital]
        joining.unpack(self.server.start_kit(hospital))
        runtime, health = self._ports[hospital]
        changes: dict[str, Any] = {
            "data": {"path": str(self._images[hospital].absolute())},
            "ports": {"runtime": runtime, "health": health},
            "rules": dict(self._rules.get(hospital, {})),
        }
        joining.change(changes)
        joining.command("enroll")
        self.server.command("approve", str(joining.enrolment_request), "--yes")
