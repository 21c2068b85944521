"""The paths of the server's files."""

import shlex
import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FOLDER_VARIABLE = "RAREFED_SERVER_FOLDER"
"""Environment variable with the folder, for commands and for the ServerApp of a federation."""


LOST_AUTHORITY = "put it back from a backup, or from any start kit in kits/; to begin anew, provision a new folder"
"""What to do where the CA's certificate is lost: hospitals trust no other, so none may be made in its place."""


@dataclass(frozen=True)
class ServerFolder:
    """Paths below the folder that `rarefed-server provision` makes.

    Attributes
    ----------
    root : Path
        Absolute.
    """

    root: Path

    @cached_property
    def consortium(self) -> Path:
        """The consortium file as it was last provisioned."""
        return self.root / "consortium.yaml"

    @cached_property
    def pki(self) -> Path:
        """Certificates and keys (.crt, .key) of ``ca``, ``gateway`` (for hospitals) and ``loopback`` (for Flower)."""
        return self.root / "pki"

    @cached_property
    def hospitals(self) -> Path:
        """One JSON file per hospital: its state, public key and Flower node."""
        return self.root / "hospitals"

    @cached_property
    def kits(self) -> Path:
        """One start kit per hospital, as a zip file."""
        return self.root / "kits"

    @cached_property
    def superlink(self) -> Path:
        """Flower's home, database and the SuperExec's secret."""
        return self.root / "superlink"

    @cached_property
    def superexec_secret(self) -> Path:
        """The secret between SuperLink and SuperExec; Flower takes the file's bytes as they are."""
        return self.superlink / "superexec.secret"

    @cached_property
    def operator_secret(self) -> Path:
        """The secret by which the SuperLink knows this server's own commands."""
        return self.superlink / "operator.secret"

    @cached_property
    def logs(self) -> Path:
        """Logs of the server and its programs."""
        return self.root / "logs"

    @cached_property
    def status(self) -> Path:
        """Status of the running server: programs, ports, versions."""
        return self.root / "server.json"

    @cached_property
    def lock(self) -> Path:
        """Lock of the running server; it ends with the process."""
        return self.root / "server.lock"

    @cached_property
    def run_lock(self) -> Path:
        """Lock of the federation that goes on; it ends with the process."""
        return self.root / "run.lock"

    def why_open(self) -> str | None:
        """Return a line if other users may enter the folder, with the way to shut them out; None if it is ours alone.

        Rarefed does not do it itself: the folder was there before, and somebody may have meant it so.
        """
        mode = stat.S_IMODE(self.root.stat().st_mode)
        if not mode & 0o077:
            return None
        return f"{self.root}: others may enter it (mode {mode:o}): `chmod 700 {shlex.quote(str(self.root))}`"

    def certificate(self, name: str) -> Path:
        """Return the path of a certificate of `pki`, by name."""
        return self.pki / f"{name}.crt"

    def key(self, name: str) -> Path:
        """Return the path of a private key of `pki`, by name."""
        return self.pki / f"{name}.key"
