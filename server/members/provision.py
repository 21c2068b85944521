"""Makes a server's folder from a consortium file, and brings it up to date when the file has changed.

Each step checks what is there and does what is missing. So the same command provisions, adds a hospital, renews a
certificate, and completes what an interruption left.
"""

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from common.errors import InputError, RunError
from common.security.certificates import certificate_fingerprint, read_certificate
from common.security.secret_file import keep_secret
from common.system.files import write_bytes_atomically
from common.system.wording import first_few
from server.members.certificates import (
    SERVER_VALIDITY,
    Credential,
    federation_of,
    issue_server_certificate,
    make_authority,
    why_renew,
)
from server.members.consortium import Consortium, read_consortium
from server.members.hospital import explain_absence
from server.members.registry import Registry
from server.members.server_folder import LOST_AUTHORITY, ServerFolder
from server.members.start_kit import build_start_kit

Say = Callable[[str], None]
MayRevoke = Callable[[list[str]], bool]
"""Takes the names of hospitals that a change of the file would shut out, and says whether that is meant."""

_LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
_FOLDER = "--folder must name a folder that this user can make or write to, on a disk with room"
_RESTART = "restart the server to use it"


def provision(
    consortium_file: Path, folder: ServerFolder, app_hash: str, say: Say, may_revoke: MayRevoke = lambda names: True
) -> None:
    """Make a server's folder, or bring it up to date.

    Parameters
    ----------
    consortium_file : Path
        The coordinator's file; copied into the folder.
    folder : ServerFolder
        Made if absent; must belong to this federation or be empty.
    app_hash : str
        SHA-256 of the Flower app that start kits approve; empty: hospitals fill it in themselves.
    say : callable
        Takes one line per thing that is done.
    may_revoke : callable
        Is asked before anything is done, if hospitals that are invited or approved stand in the file no longer.

    Raises
    ------
    InputError
        If they may not be revoked, the file has an error, or the folder cannot be written to, holds something else,
        another federation, or a damaged CA.
    RunError
        If hospitals' records are damaged, once all else is done.
    """
    consortium = read_consortium(consortium_file)
    content = consortium_file.read_bytes()
    _check_folder(folder, consortium)
    gone = _gone(folder, consortium)
    if gone and not may_revoke(gone):
        raise InputError(f"nothing was done: {consortium_file} leaves out {', '.join(gone)}; put back who shall stay")
    try:
        damaged = _fill(folder, consortium, content, app_hash, gone, say)
    except OSError as error:
        raise InputError(f"{error.filename or folder.root}: {error.strerror}; {_FOLDER}") from error
    if damaged:
        raise RunError(f"all is as the file says but the damaged records of hospitals: {first_few(damaged)}")


def renew(folder: ServerFolder, say: Say) -> None:
    """Issue the server's certificates again, by the same CA; hospitals notice nothing.

    Raises
    ------
    InputError
        If the folder is not provisioned, or the CA's key is not in it.
    """
    hosts = _hosts(read_consortium(folder.consortium))
    authority = _read_authority(folder)
    for name in hosts:
        _issue(folder, authority, name, hosts[name], "as you asked", say)


def _check_folder(folder: ServerFolder, consortium: Consortium) -> None:
    if folder.certificate("ca").exists():
        held = federation_of(read_certificate(folder.certificate("ca")))
        if held != consortium.name:
            raise InputError(
                f"{folder.root} holds the federation {held!r}, and the file is of {consortium.name!r}: "
                "name another folder with --folder, or keep the federation's name"
            )
    elif folder.certificate("gateway").exists():
        raise InputError(f"{folder.certificate('ca')} is missing, which signed the others: {LOST_AUTHORITY}")
    elif folder.root.exists():
        expected = {
            path.name for path in (folder.consortium, folder.pki, folder.hospitals, folder.kits, folder.superlink)
        }
        # A write that was killed leaves a ".name.part" behind.
        strangers = [path.name for path in _list(folder.root) if path.name not in expected and path.suffix != ".part"]
        if strangers:
            raise InputError(
                f"{folder.root} holds something else ({strangers[0]}): name an empty or a new folder with --folder"
            )


def _fill(
    folder: ServerFolder, consortium: Consortium, content: bytes, app_hash: str, gone: list[str], say: Say
) -> list[str]:
    """Do what is missing; return the hospitals whose records are damaged."""
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in (folder.pki, folder.hospitals, folder.kits, folder.superlink):
        path.mkdir(mode=0o700, exist_ok=True)
        path.chmod(0o700)
    if why := folder.why_open():
        say(why)
    if _write_if_new(folder.consortium, content):
        say(f"{folder.consortium}: written; a running server reads it when it is started again")
    _keep_authority(folder, consortium, say)
    _keep_certificates(folder, consortium, say)
    _keep_secret(folder, say)
    damaged = _keep_members(folder, consortium, gone, say)
    _keep_kits(folder, consortium, app_hash, say)
    return damaged


def _list(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}; {_FOLDER}") from error


def _keep_authority(folder: ServerFolder, consortium: Consortium, say: Say) -> None:
    path = folder.certificate("ca")
    if not path.exists():
        # A key without a certificate is left from an interruption, and has signed nothing.
        authority = make_authority(consortium.name)
        authority.write(path, folder.key("ca"))
        say(f"{path}: made, SHA-256 {certificate_fingerprint(authority.certificate)}")
        say(f"{folder.key('ca')}: keep a copy in a safe place; whoever has it can pose as your server")
    end = read_certificate(path).not_valid_after_utc
    if end - datetime.now(UTC) < SERVER_VALIDITY:
        say(f"{path}: ends on {end:%Y-%m-%d}, and every certificate with it; plan a new folder and new start kits")


def _keep_certificates(folder: ServerFolder, consortium: Consortium, say: Say) -> None:
    for name, hosts in _hosts(consortium).items():
        reason = _why_issue(folder, name, hosts)
        if reason:
            _issue(folder, _read_authority(folder), name, hosts, reason, say)


def _why_issue(folder: ServerFolder, name: str, hosts: tuple[str, ...]) -> str | None:
    if not folder.certificate(name).exists():
        return "it was missing"
    try:
        held = Credential.read(folder.certificate(name), folder.key(name))
    except InputError as error:
        return str(error)
    return why_renew(held.certificate, read_certificate(folder.certificate("ca")), hosts)


def _issue(
    folder: ServerFolder, authority: Credential, name: str, hosts: tuple[str, ...], reason: str, say: Say
) -> None:
    path = folder.certificate(name)
    existed = path.exists()
    issued = issue_server_certificate(authority, name, hosts)
    issued.write(path, folder.key(name))
    what = f"for {', '.join(hosts)}, until {issued.certificate.not_valid_after_utc:%Y-%m-%d}"
    say(f"{path}: issued again {what} ({reason}); {_RESTART}" if existed else f"{path}: issued {what}")


def _read_authority(folder: ServerFolder) -> Credential:
    key = folder.key("ca")
    if not key.exists():
        raise InputError(f"{key} is missing: put it back from its safe place while certificates are issued")
    return Credential.read(folder.certificate("ca"), key)


def _hosts(consortium: Consortium) -> dict[str, tuple[str, ...]]:
    """Return the hosts for which each of the server's certificates must be valid, by name."""
    return {"gateway": (consortium.server.host, *consortium.server.also), "loopback": _LOOPBACK_HOSTS}


def _keep_secret(folder: ServerFolder, say: Say) -> None:
    for path in (folder.superexec_secret, folder.operator_secret):
        if keep_secret(path):
            say(f"{path}: made")


def _keep_members(folder: ServerFolder, consortium: Consortium, gone: list[str], say: Say) -> list[str]:
    registry = Registry(folder)
    _, damaged = registry.survey()
    for name, why in damaged.items():
        say(f"hospital {name}: {why}")
    for entry in consortium.hospitals:
        if entry.name in damaged:
            continue
        done = registry.invite(entry.name, entry.contact, entry.images)
        if done:
            say(f"hospital {entry.name}: {done}")
        absence = explain_absence(registry.find(entry.name), {entry.name})
        if absence:
            say(f"hospital {entry.name}: {absence}")
    for name in gone:  # those that were asked about, whoever has changed the registry since
        if registry.revoke(name):
            say(f"hospital {name}: revoked, since it stands in the file no longer; a running server shuts it out")
    return list(damaged)


def _gone(folder: ServerFolder, consortium: Consortium) -> list[str]:
    """Return the hospitals that stand in the file no longer, and are not revoked."""
    listed = {entry.name for entry in consortium.hospitals}
    known = Registry(folder).hospitals()
    return [name for name, hospital in known.items() if name not in listed and hospital.state != "revoked"]


def _keep_kits(folder: ServerFolder, consortium: Consortium, app_hash: str, say: Say) -> None:
    authority = read_certificate(folder.certificate("ca"))
    kits = {
        folder.kits / f"{entry.name}.zip": build_start_kit(consortium, entry.name, authority, app_hash)
        for entry in consortium.hospitals
    }
    for path, kit in kits.items():
        existed = path.exists()
        if _write_if_new(path, kit):
            say(f"{path}: {'changed, send it again' if existed else 'made, send it to the hospital'}")
    for path in sorted(folder.kits.glob("*.zip")):
        if path not in kits:
            path.unlink()
            say(f"{path}: removed")


def _write_if_new(path: Path, content: bytes) -> bool:
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return False
    write_bytes_atomically(path, content)
    return True
