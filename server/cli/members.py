"""The commands of `rarefed-server` about members: provision, approve, revoke, renew, hospitals."""

import re
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter
from rich import box
from rich.table import Table

from common.errors import InputError
from common.security.certificates import certificate_fingerprint, read_certificate
from common.security.enrolment import EnrolmentRequest, read_enrolment_request
from common.system.command_line import table_console
from server.cli.folder_option import DEFAULT_FOLDER, FOLDER, open_folder
from server.members import provision as provisioning
from server.members.consortium import read_consortium
from server.members.registry import Hospital, Registry
from server.members.server_folder import ServerFolder

_SYNC = "a running server takes note within seconds"
# Wide enough for a fingerprint where there is no terminal to measure.
_TABLE_WIDTH = 160


def register(app: typer.Typer) -> None:
    """Add the commands to an app."""
    for command in (provision, approve, revoke, renew, hospitals):
        app.command()(command)


def provision(
    consortium: Annotated[Path, typer.Argument(help="The federation as you wrote it down.", metavar="CONSORTIUM.yaml")],
    folder: FOLDER = DEFAULT_FOLDER,
    app_hash: Annotated[
        str, typer.Option("--app-hash", help="SHA-256 of the Flower app that start kits approve. [default: this one's]")
    ] = "",
) -> None:
    """Make CA, certificates and a start kit for each hospital; again after a change of the file, or to mend."""
    from server.flower.app_bundle import app_folder
    from server.flower.app_bundle import app_hash as bundle_hash

    if app_hash and not re.fullmatch(r"[0-9a-f]{64}", app_hash):
        raise InputError(f"--app-hash {app_hash}: is no SHA-256: 64 hexadecimal digits")
    done: list[str] = []
    approved = app_hash or bundle_hash(app_folder())

    def say(line: str) -> None:
        done.append(line)
        print(line, flush=True)

    provisioning.provision(consortium, ServerFolder(folder.absolute()), approved, say)
    if not done:
        print("everything is as the file says")


def approve(
    request: Annotated[Path, typer.Argument(help="What `rarefed-hospital enroll` wrote.")],
    folder: FOLDER = DEFAULT_FOLDER,
    fingerprint: Annotated[str, typer.Option(help="Of the key, as the hospital read it to you.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: the fingerprints were compared.")] = False,
) -> None:
    """Let a hospital in, once its key's fingerprint was compared over the phone."""
    opened = open_folder(folder)
    read = read_enrolment_request(request)
    listed = [entry.name for entry in read_consortium(opened.consortium).hospitals]
    if read.hospital not in listed:
        raise InputError(
            f"{request}: is of {read.hospital!r}, which is no hospital of this federation ({', '.join(listed)}): "
            "add it to the consortium file and provision again"
        )
    print(f"hospital     {read.hospital}")
    print(f"key          {read.fingerprint}")
    print(f"federation   {certificate_fingerprint(read_certificate(opened.certificate('ca')))}")
    _confirm(read, fingerprint, yes)
    approved = Registry(opened).approve(read)
    print(f"{approved.name} is approved since {approved.approved:%Y-%m-%d %H:%M} UTC; {_SYNC}")


def revoke(
    hospital: Annotated[str, typer.Argument(help="Its name.")],
    folder: FOLDER = DEFAULT_FOLDER,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Shut a hospital out, and its key for ever."""
    registry = Registry(open_folder(folder))
    member = registry.find(hospital)
    if not yes and member.state != "revoked" and not typer.confirm(f"Shut out {hospital}, and its key for ever?"):
        raise InputError("not revoked")
    if registry.revoke(hospital):
        print(f"{hospital} is revoked; {_SYNC}. It comes back with a new key: `rarefed-hospital enroll --new-key`")
    else:
        print(f"{hospital} was revoked before")


def renew(folder: FOLDER = DEFAULT_FOLDER) -> None:
    """Issue the server's certificates again; hospitals notice nothing."""
    provisioning.renew(open_folder(folder), print)


def hospitals(
    folder: FOLDER = DEFAULT_FOLDER,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the members: who is invited, approved or revoked, and with which key."""
    members = list(Registry(open_folder(folder)).hospitals().values())
    if as_json:
        print(TypeAdapter(list[Hospital]).dump_json(members, indent=2).decode())
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("Hospital", "State", "Since", "Key", "Flower node", "Contact"):
        table.add_column(column, no_wrap=True)
    for member in members:
        since = getattr(member, member.state)
        node = str(member.node_id) if member.node_id is not None else ""
        table.add_row(
            member.name, member.state, f"{since:%Y-%m-%d}" if since else "", member.fingerprint, node, member.contact
        )
    table_console(_TABLE_WIDTH, markup=False).print(table)


def _confirm(request: EnrolmentRequest, fingerprint: str, yes: bool) -> None:
    if fingerprint and fingerprint != request.fingerprint:
        raise InputError(
            f"the request's key is {request.fingerprint}, not {fingerprint}: somebody may have changed the file on its "
            "way; ask the hospital for it again, on another way"
        )
    if not (fingerprint or yes) and not typer.confirm("Did the hospital read the same two to you over the phone?"):
        raise InputError("not approved: compare the fingerprints over the phone first")
