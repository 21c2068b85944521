"""A hospital's node key, and the headers by which its calls are known: its signature, as Flower's SuperNode sends it.

With them, a gateway's answer to `GET /health` says by which name it knows the key.
"""

import base64
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from common.errors import InputError

PUBLIC_KEY, TIMESTAMP, SIGNATURE = "flwr-public-key", "flwr-timestamp", "flwr-signature"
SIGNED_WITH = ec.ECDSA(SHA256())

KNOWN_AS, UNKNOWN = "rarefed-hospital", "-"
"""Header of the answer to a signed `GET /health`: the hospital's name, or `UNKNOWN` for a key that is not approved."""


def read_node_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Return a hospital's private key; raises `InputError` if the file holds none, or `OSError`."""
    try:
        key = load_ssh_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InputError(f"{path}: is no OpenSSH key without a password; `--new-key` puts it aside") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise InputError(f"{path}: is no elliptic-curve key on P-384; `--new-key` puts it aside")
    return key


def public_key_header(key: ec.EllipticCurvePublicKey) -> str:
    """Return what stands in the header `PUBLIC_KEY`: the PEM text in base64."""
    return base64.b64encode(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).decode()


def signed_headers(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """Return the headers of a call that is made now."""
    timestamp = datetime.now(UTC).isoformat()
    signature = base64.b64encode(key.sign(timestamp.encode(), SIGNED_WITH)).decode()
    return {PUBLIC_KEY: public_key_header(key.public_key()), TIMESTAMP: timestamp, SIGNATURE: signature}
