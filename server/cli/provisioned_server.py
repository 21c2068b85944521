"""How the commands of `rarefed-server` find the server's folder, and what they need of it."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from common.errors import InputError
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
        if not folder.consortium.is_file():
            raise InputError(
                f"{folder.root} holds no federation: `rarefed-server provision` makes one, --folder says where it is"
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
