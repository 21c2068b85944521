"""A hospital's request to join: its public key, signed by the private one, which never leaves the hospital.

The signature proves that the writer of the request holds the key. Two people confirm whose key it is by comparing its
fingerprint over the phone.
"""

import base64
import hashlib
import json
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from common.errors import InputError
from common.system.foreign_json import parse_json
from common.system.unreadable import explain_unreadable

_LARGEST_BYTES = 16 * 1024
# Binds a signature to this purpose, so that it cannot be used for another.
_PURPOSE = b"rarefed enrolment request 1\n"
_SIGNED_WITH = ec.ECDSA(SHA384())
_Text = Annotated[str, Field(min_length=1, max_length=4096)]


class EnrolmentRequest(BaseModel):
    """What `<hospital>.request.json` holds.

    Attributes
    ----------
    hospital : str
        Its name, as the coordinator gave it.
    rarefed : str
        The hospital's version of rarefed.
    created : str
        UTC, ISO 8601.
    public_key : str
        OpenSSH text of an elliptic-curve key on P-384, without a comment.
    signature : str
        Base64 of the ECDSA signature with SHA-384 over all other fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    hospital: _Text
    rarefed: _Text
    created: _Text
    public_key: _Text
    signature: _Text

    @field_validator("created")
    @classmethod
    def _check_time(cls, created: str) -> str:
        time = datetime.fromisoformat(created)
        if time.tzinfo is None:
            raise ValueError("has no time zone")
        try:
            time.astimezone(UTC)
        except OverflowError:
            raise ValueError("is outside the calendar") from None
        return created

    @property
    def fingerprint(self) -> str:
        """The public key's fingerprint, as `ssh-keygen -l` prints it."""
        return key_fingerprint(self.public_key)

    def to_json(self) -> str:
        """Return the file's text."""
        return self.model_dump_json(indent=2) + "\n"


def make_enrolment_request(hospital: str, key: ec.EllipticCurvePrivateKey) -> EnrolmentRequest:
    """Sign a request to join.

    Parameters
    ----------
    hospital : str
        The hospital's name.
    key : EllipticCurvePrivateKey
        The hospital's node key, on P-384.
    """
    fields = {
        "hospital": hospital,
        "rarefed": version("rarefed"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "public_key": public_key_text(key.public_key()),
    }
    signature = key.sign(_signed_bytes(fields), _SIGNED_WITH)
    return EnrolmentRequest(**fields, signature=base64.b64encode(signature).decode())


def read_enrolment_request(path: Path) -> EnrolmentRequest:
    """Read a request and check its signature.

    Raises
    ------
    InputError
        In one line with the file, if it cannot be read, is larger than 16 kB, is no request, has a key of another kind,
        or a field is not what the key has signed.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise InputError(explain_unreadable(path, error)) from error
    if len(content) > _LARGEST_BYTES:
        raise InputError(f"{path}: is larger than 16 kB, so it is no request that `rarefed-hospital enroll` wrote")
    try:
        request = EnrolmentRequest.model_validate(parse_json(content))
    except ValidationError as error:
        first = error.errors()[0]
        # The file is another's: a key that is unknown may hold what rewrites a terminal.
        known = [str(part) for part in first["loc"] if part in EnrolmentRequest.model_fields]
        field = ".".join(known) or ("an unknown field" if first["loc"] else "the file")
        raise InputError(f"{path}: is no request to join: {field}: {first['msg']}") from error
    except ValueError as error:
        raise InputError(f"{path}: is no JSON, so it is no request that `rarefed-hospital enroll` wrote") from error
    _verify(path, request)
    return request


def public_key_text(key: ec.EllipticCurvePublicKey) -> str:
    """Return a public key as OpenSSH text, without a comment."""
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def key_fingerprint(public_key: str) -> str:
    """Return the fingerprint of OpenSSH text: ``SHA256:`` and 43 characters, as `ssh-keygen -l` prints it."""
    blob = base64.b64decode(public_key.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _verify(path: Path, request: EnrolmentRequest) -> None:
    try:
        key = load_ssh_public_key(request.public_key.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path}: public_key is no OpenSSH public key") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise InputError(f"{path}: public_key is not on the curve P-384: make it with `rarefed-hospital enroll`")
    if public_key_text(key) != request.public_key:
        raise InputError(f"{path}: public_key has something before or after the key")
    fields = request.model_dump(exclude={"signature"})
    try:
        key.verify(base64.b64decode(request.signature, validate=True), _signed_bytes(fields), _SIGNED_WITH)
    except (InvalidSignature, ValueError) as error:
        raise InputError(
            f"{path}: was changed after the hospital signed it: ask for the file again, on another way"
        ) from error


def _signed_bytes(fields: dict[str, str]) -> bytes:
    return _PURPOSE + json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
