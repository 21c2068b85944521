"""How the commands of `rarefed-server` find the server's folder."""

from pathlib import Path
from typing import Annotated

import typer

from common.errors import InputError
from server.members.server_folder import FOLDER_VARIABLE, ServerFolder

FOLDER = Annotated[Path, typer.Option("--folder", envvar=FOLDER_VARIABLE, help="The server's folder.")]
DEFAULT_FOLDER = Path("federation")


def open_folder(path: Path) -> ServerFolder:
    """Return a provisioned folder; raises `InputError` if it is none."""
    folder = ServerFolder(path.absolute())
    if not folder.consortium.is_file():
        raise InputError(
            f"{folder.root} holds no federation: `rarefed-server provision` makes one, --folder says where it is"
        )
    return folder
