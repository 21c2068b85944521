"""How a hospital joins: it makes its key, which never leaves, and signs a request to join with it."""

import contextlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from client.rules.hospital_file import HospitalFile
from common.errors import InputError
from common.security.certificates import certificate_fingerprint, read_certificate
from common.security.enrolment import make_enrolment_request, public_key_text
from common.security.node_key import read_node_key
from common.system.files import write_bytes_atomically, write_text_atomically
from common.system.unreadable import explain_unreadable


@dataclass(frozen=True)
class Enrolment:
    """The result of `enroll`.

    Attributes
    ----------
    request : Path
        The file to send to the coordinator.
    key_fingerprint : str
        Of the node key, as `ssh-keygen -l` prints it.
    authority_fingerprint : str
        SHA-256 of the federation's CA, as `openssl x509 -fingerprint -sha256` prints it.
    former_key : Path or None
        Where the previous key is, if it was put aside.
    """

    request: Path
    key_fingerprint: str
    authority_fingerprint: str
    former_key: Path | None


def enroll(hospital: HospitalFile, request: Path | None = None, new_key: bool = False) -> Enrolment:
    """Make the node key, if there is none, and the request to join; a second call keeps the key.

    Parameters
    ----------
    hospital : HospitalFile
        From `read_hospital_file`.
    request : Path or None
        File to write; None: `<name>.request.json` beside the hospital's file.
    new_key : bool
        Put an existing key aside and make another.

    Raises
    ------
    InputError
        If the CA cannot be read, a folder cannot be written to, or the key that is there is of another kind.
    """
    authority = read_certificate(hospital.ca_certificate)
    target = request.absolute() if request else hospital.path.parent / f"{hospital.name}.request.json"
    try:
        hospital.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        hospital.state.chmod(0o700)
        former = _put_aside(hospital.node_key) if new_key else None
        key = _keep_key(hospital.node_key)
        signed = make_enrolment_request(hospital.name, key)
        write_text_atomically(target, signed.to_json())
    except OSError as error:
        raise InputError(explain_unreadable(Path(error.filename or hospital.state), error)) from error
    return Enrolment(target, signed.fingerprint, certificate_fingerprint(authority), former)


def _keep_key(path: Path) -> ec.EllipticCurvePrivateKey:
    if path.exists():
        key = read_node_key(path)
        path.chmod(0o600)
    else:
        key = ec.generate_private_key(ec.SECP384R1())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
        write_bytes_atomically(path, pem, mode=0o600)
    write_text_atomically(_public(path), public_key_text(key.public_key()) + "\n")
    return key


def _put_aside(path: Path) -> Path | None:
    if not path.exists():
        return None
    aside = path.with_name(f"{path.name}.{datetime.now():%Y-%m-%dT%H-%M-%S.%f}")
    path.rename(aside)
    with contextlib.suppress(FileNotFoundError):
        _public(path).rename(_public(aside))
    return aside


def _public(path: Path) -> Path:
    return path.with_name(f"{path.name}.pub")
