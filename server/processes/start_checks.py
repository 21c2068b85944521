"""What must be in order before the server starts; each error is one line that says how to mend it."""

import socket
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO

from cryptography import x509

from common.errors import InputError, RunError
from common.system.files import hold_lock, is_locked
from common.system.installation import installation_problem
from common.system.ports import why_not_listening
from server.members.consortium import Consortium
from server.members.server_folder import LOST_AUTHORITY, ServerFolder

_SOON = timedelta(days=30)
# Processes of a killed server hold the ports for a while.
_PORT_SECONDS = 5.0


def take_lock(folder: ServerFolder) -> IO[str]:
    """Return the folder's lock, to keep open while the server runs; raises `RunError` if another server has it."""
    try:
        stream = hold_lock(folder.lock)
    except OSError as error:
        raise InputError(f"{folder.lock}: cannot be written: {error.strerror}") from error
    if stream is None:
        raise RunError(f"a server is running on {folder.root} already: stop it first, with SIGTERM or Ctrl-C")
    return stream


def close_folders(folder: ServerFolder, runs: Path) -> None:
    """Make the folders of keys, state, logs and runs this user's alone, also those of an earlier version.

    A folder of runs elsewhere stays as it is, since it may hold other things; each run's own folder is closed.
    """
    inside = (runs,) if runs.is_relative_to(folder.root) else ()
    for path in (folder.pki, folder.hospitals, folder.kits, folder.superlink, folder.logs, *inside):
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.chmod(0o700)
        except OSError as error:
            raise InputError(f"{path}: cannot be made this user's alone: {error.strerror}") from error


def is_running(folder: ServerFolder) -> bool:
    """Say whether a server runs on the folder."""
    return is_locked(folder.lock)


def check_installation() -> None:
    """Raise `InputError` unless Flower can start from where it is installed."""
    if problem := installation_problem():
        raise InputError(problem)


def check_certificates(folder: ServerFolder, consortium: Consortium, say: Callable[[str], None], now: datetime) -> None:
    """Raise `InputError` unless all certificates and keys are there and valid; say which expire within 30 days."""
    names = ["ca", "loopback", *(["gateway"] if consortium.server.gateway else [])]
    for name in names:
        path = folder.certificate(name)
        # The CA's key may be kept elsewhere.
        for file in (path, *([folder.key(name)] if name != "ca" else [])):
            if not file.is_file():
                mend = LOST_AUTHORITY if name == "ca" else "`rarefed-server provision` makes it"
                raise InputError(f"{file} is missing: {mend}")
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read as a certificate: {error}") from error
        end = certificate.not_valid_after_utc
        if now > end:
            raise InputError(f"{path} expired on {end:%Y-%m-%d}: `rarefed-server renew` issues a new one")
        if now < certificate.not_valid_before_utc:
            raise InputError(
                f"{path} is valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on: check this clock"
            )
        if end - now < _SOON:
            say(f"{path} expires on {end:%Y-%m-%d}: `rarefed-server renew` issues a new one")


def check_ports(consortium: Consortium) -> None:
    """Raise `RunError` unless the server's ports are free."""
    server = consortium.server
    _check_port("127.0.0.1", server.superlink_port, "server.superlink_port")
    if server.gateway:
        _check_port(server.listen, server.port, "server.port")


def _check_port(host: str, port: int, field: str) -> None:
    deadline = time.monotonic() + _PORT_SECONDS
    while True:
        try:
            with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
                return
        except OSError as error:
            if time.monotonic() > deadline:
                raise RunError(
                    f"cannot listen on {host} port {port} ({why_not_listening(error)}): stop what uses it, "
                    f"or change {field} in consortium.yaml"
                ) from error
        time.sleep(0.2)
