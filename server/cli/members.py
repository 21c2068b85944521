"""The commands of `rarefed-server` about members: approve, revoke, hospitals, nginx-keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from common.errors import InputError, RunError
from common.system.command_line import confirm, table_console
from server.cli.output import AS_JSON, TABLE_WIDTH, print_json
from server.cli.provisioned_server import DEFAULT_FOLDER, FOLDER, ProvisionedServer

if TYPE_CHECKING:
    from common.security.enrolment import EnrolmentRequest
    from server.members.hospital import Hospital

_QUESTION = "Did the hospital read the same two to you over the phone?"
_SYNC = "a running server takes note within seconds"


def approve(
    request: Annotated[Path, typer.Argument(help="What `rarefed-hospital enroll` wrote.")],
    folder: FOLDER = DEFAULT_FOLDER,
    fingerprint: Annotated[str, typer.Option(help="Of the key, as the hospital read it to you.")] = "",
    images: Annotated[
        int | None, typer.Option(min=1, help="How many it has, as it told you: what it may weigh at most.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: the fingerprints were compared.")] = False,
) -> None:
    """Let a hospital in, once its key's fingerprint was compared over the phone."""
    from common.security.certificates import certificate_fingerprint, read_certificate
    from common.security.enrolment import read_enrolment_request
    from server.members.registry import Registry

    server = ProvisionedServer.at(folder)
    read = read_enrolment_request(request)
    listed = {entry.name: entry for entry in server.consortium.hospitals}
    if read.hospital not in listed:
        raise InputError(
            f"{request}: is of {read.hospital!r}, which is no hospital of this federation ({', '.join(listed)}): "
            "add it to the consortium file and provision again"
        )
    # Whatever can be known is, before a person is asked to telephone.
    registry = Registry(server.folder)
    held = registry.check_approval(read)
    _check_fingerprint(read, fingerprint)
    print(f"hospital     {read.hospital}")
    print(f"key          {read.fingerprint}")
    print(f"federation   {certificate_fingerprint(read_certificate(server.folder.certificate('ca')))}")
    if held.state != "approved" or held.public_key != read.public_key:
        _warn_of_replacement(server, held)
        if not (fingerprint or yes) and not confirm(_QUESTION, "--fingerprint"):
            raise InputError("not approved: compare the fingerprints over the phone first")
    approved = registry.approve(read, images)
    _tell_images(approved.images, listed[read.hospital].images)
    print(f"{approved.name} is approved since {approved.approved:%Y-%m-%d %H:%M} UTC; {_SYNC}")


def revoke(
    hospital: Annotated[str, typer.Argument(help="Its name.")],
    folder: FOLDER = DEFAULT_FOLDER,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Shut a hospital out, and its key for ever."""
    from server.members.registry import Registry

    registry = Registry(ProvisionedServer.at(folder).folder)
    member = registry.find(hospital)
    if not yes and member.state != "revoked" and not confirm(f"Shut out {hospital}, and its key for ever?", "--yes"):
        raise InputError("not revoked")
    if registry.revoke(hospital):
        print(f"{hospital} is revoked; {_SYNC}. It comes back with a new key: `rarefed-hospital enroll --new-key`")
    else:
        print(f"{hospital} was revoked before")


def hospitals(folder: FOLDER = DEFAULT_FOLDER, as_json: AS_JSON = False) -> None:
    """List the members: who is invited, approved or revoked, and with which key; 1 if a record is damaged."""
    from rich import box
    from rich.table import Table

    from server.members.hospital import Hospital, explain_absence
    from server.members.registry import Registry

    server = ProvisionedServer.at(folder)
    registry = Registry(server.folder)
    registry.require_folder()
    found, damaged = registry.survey()
    members = list(found.values())
    named = {entry.name for entry in server.consortium.hospitals}
    absent = {member.name: why for member in members if (why := explain_absence(member, named))}
    for name, why in (damaged | absent).items():
        typer.echo(f"hospital {name}: {why}", err=True)
    if as_json:
        known = [member.model_dump(mode="json") for member in members]
        print_json([*known, *(Hospital(name=name).model_dump() | {"state": "damaged"} for name in damaged)])
        _fail_if(damaged)
        return
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("Hospital", "State", "Since", "Images", "Key", "Flower node", "Contact"):
        table.add_column(column, no_wrap=True)
    for member in members:
        since = getattr(member, member.state)
        node = str(member.node_id) if member.node_id is not None else ""
        images = str(member.images) if member.images is not None else ""
        when = f"{since:%Y-%m-%d}" if since else ""
        table.add_row(member.name, member.state, when, images, member.fingerprint, node, member.contact)
    for name in damaged:
        table.add_row(name, "damaged")
    table_console(TABLE_WIDTH).print(table)
    _fail_if(damaged)


def nginx_keys(folder: FOLDER = DEFAULT_FOLDER) -> None:
    """Print the approved hospitals' keys for deploy/nginx.conf, to go to /etc/rarefed/members.map.

    1 if a record is damaged, whose key is then left out.
    """
    from server.gateway.member_keys import MemberKeys
    from server.members.registry import Registry

    server = ProvisionedServer.at(folder)
    registry = Registry(server.folder)
    registry.require_folder()
    _, damaged = registry.survey()
    for name, why in damaged.items():
        typer.echo(f"hospital {name}: {why}", err=True)
    for header, name in MemberKeys(server.folder).hospitals().items():
        print(f'"{header}" "{name}";')
    _fail_if(damaged)


def _fail_if(damaged: Mapping[str, str]) -> None:
    """End with 1 if records are damaged, which were told: the others are listed, but a script must not go on."""
    if damaged:
        raise typer.Exit(1)


def _check_fingerprint(request: "EnrolmentRequest", fingerprint: str) -> None:
    if fingerprint and fingerprint != request.fingerprint:
        raise InputError(
            f"the request's key is {request.fingerprint}, not {fingerprint}: somebody may have changed the file on its "
            "way; ask the hospital for it again, on another way"
        )


def _warn_of_replacement(server: ProvisionedServer, held: "Hospital") -> None:
    """Say if the hospital is approved with another key, and whether it is online with that one."""
    if held.state != "approved":
        return
    try:
        with server.control() as control:
            online = any(node.id == held.node_id and node.status == "online" for node in control.list_nodes())
        told = f"{held.name} is online with it at this moment" if online else f"{held.name} is not online"
    except RunError:
        told = f"whether {held.name} is online is not known, since no server runs here"
    print(f"replaces     {held.fingerprint}, approved on {held.approved:%Y-%m-%d}: {told}")
    print("             The former key is shut out for ever. Go on only if the hospital says that it made a new one.")


def _tell_images(confirmed: int | None, in_file: int | None) -> None:
    """Say how many images are confirmed, and whether the next provisioning would change that."""
    if confirmed is None:
        print("images       not confirmed: `--images N`, or `images` in the consortium file, bounds what it may weigh")
    elif in_file is None or in_file == confirmed:
        print(f"images       {confirmed}")
    else:
        print(f"images       {confirmed}; the consortium file says {in_file}, which counts once provisioned: change it")
