"""The commands of `rarefed-server` that make the server's folder: provision, renew."""

from pathlib import Path
from typing import Annotated

import typer

from common.errors import InputError
from common.system.command_line import confirm
from common.system.files import is_sha256
from server.cli.provisioned_server import DEFAULT_FOLDER, FOLDER, ProvisionedServer
from server.members.server_folder import ServerFolder


def provision(
    consortium: Annotated[Path, typer.Argument(help="The federation as you wrote it down.", metavar="CONSORTIUM.yaml")],
    folder: FOLDER = DEFAULT_FOLDER,
    app_hash: Annotated[
        str, typer.Option("--app-hash", help="SHA-256 of the Flower app that start kits approve. [default: this one's]")
    ] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before hospitals are revoked.")] = False,
) -> None:
    """Make CA, certificates and a start kit for each hospital; again after a change of the file, or to mend."""
    from server.flower.app_bundle import app_folder
    from server.flower.app_bundle import app_hash as bundle_hash
    from server.members import provision as provisioning

    if app_hash and not is_sha256(app_hash):
        raise InputError(f"--app-hash {app_hash}: is no SHA-256: 64 hexadecimal digits")
    done: list[str] = []
    approved = app_hash or bundle_hash(app_folder())

    def say(line: str) -> None:
        done.append(line)
        print(line, flush=True)

    def may_revoke(names: list[str]) -> bool:
        print(f"{consortium} names these no longer: {', '.join(names)}")
        return yes or confirm("Shut them out, and their keys for ever?", "--yes")

    provisioning.provision(consortium, ServerFolder(folder.absolute()), approved, say, may_revoke)
    if not done:
        print("everything is as the file says")


def renew(folder: FOLDER = DEFAULT_FOLDER) -> None:
    """Issue the server's certificates again; hospitals notice nothing."""
    from server.members import provision as provisioning

    provisioning.renew(ProvisionedServer.at(folder).folder, print)
