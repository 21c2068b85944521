"""How the commands of `rarefed-server` find the server's folder, and what they need of it."""

import stat
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from common.errors import InputError
from common.system.users import user_name
from server.members.server_folder import FOLDER_VARIABLE, ServerFolder

if TYPE_CHECKING:
    from server.flower.control_api import Control
    from server.members.consortium import Consortium

FOLDER = Annotated[Path, typer.Option("--folder", envvar=FOLDER_VARIABLE, help="The server's folder.")]
DEFAULT_FOLDER = Path("federation")


@dataclass(frozen=True)
class ProvisionedServer:
    """A server's folder that `rarefed-server provision` has made.

    Attributes
    ----------
    folder : ServerFolder
        Where its files lie.
    """

    folder: ServerFolder

    @classmethod
    def at(cls, path: Path) -> Self:
        """Return the server of a folder; raises `InputError` if the folder is not provisioned."""
        folder = ServerFolder(path.absolute())
        try:
            mode = folder.consortium.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            mode = 0
        except OSError as error:
            raise InputError(
                f"{folder.root} cannot be read by {user_name()} ({error.strerror}): run this as the user of the "
                "server, as in `sudo -u rarefed -s`"
            ) from error
        if not stat.S_ISREG(mode):
            raise InputError(
                f"{folder.root} {_describe(folder.root)}: `rarefed-server provision` makes one, --folder or "
                f"{FOLDER_VARIABLE} says where it is"
            )
        return cls(folder)

    @cached_property
    def consortium(self) -> "Consortium":
        """The consortium file as it was last provisioned."""
        from server.members.consortium import read_consortium

        return read_consortium(self.folder.consortium)

    @property
    def runs(self) -> Path:
        """Folder of the run folders."""
        return self.folder.root / self.consortium.server.runs

    def control(self) -> "Control":
        """Connect to the running server."""
        from server.flower.control_api import Control
        from server.processes.programs import superlink_address

        return Control(superlink_address(self.consortium), self.folder.certificate("ca"), self.folder.operator_secret)


def _describe(path: Path) -> str:
    """Say what is in the place of a federation's folder."""
    if path.is_dir():
        return "holds no federation"
    return "is no folder, and holds no federation" if path.exists() else "does not exist, and holds no federation"
