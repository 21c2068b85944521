"""Hospitals that a gateway's registry has approved, and requests that they sign."""

from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from flwr.supercore.primitives.asymmetric import generate_key_pairs, public_key_to_bytes, sign_message

from common.security.enrolment import make_enrolment_request
from server.members.registry import Registry
from server.members.server_folder import ServerFolder

HOSPITALS = ("north", "south", "east", "west", "tiny")


class Members:
    """Approved hospitals and their keys.

    Parameters
    ----------
    root : Path
        The server's folder, which is made.
    """

    def __init__(self, root: Path) -> None:
        self.folder = ServerFolder(root)
        self.folder.hospitals.mkdir(parents=True)
        self.registry = Registry(self.folder)
        self.keys: dict[str, ec.EllipticCurvePrivateKey] = {}
        for hospital in HOSPITALS:
            self.approve(hospital)

    def approve(self, hospital: str, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        """Invite a hospital and approve its key, a new one by default."""
        self.keys[hospital] = key or generate_key_pairs()[0]
        self.registry.invite(hospital, "")
        self.registry.approve(make_enrolment_request(hospital, self.keys[hospital]))

    def signature(self, hospital: str) -> dict[str, str]:
        """Return the headers by which a SuperNode signs a request now."""
        return signed_by(self.keys[hospital])


def signed_by(key: ec.EllipticCurvePrivateKey, at: datetime | None = None) -> dict[str, str]:
    """Return the headers by which the SuperNode with a key signs a request."""
    timestamp = (at or datetime.now(UTC)).isoformat()
    return {
        "flwr-public-key": b64encode(public_key_to_bytes(key.public_key())).decode(),
        "flwr-timestamp": timestamp,
        "flwr-signature": b64encode(sign_message(key, timestamp.encode())).decode(),
    }
