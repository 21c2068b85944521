"""A hospital's public key as Flower keeps it."""

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from flwr.supercore.primitives.asymmetric import public_key_to_bytes

from common.errors import RunError


def key_bytes(public_key: str) -> bytes:
    """Return an OpenSSH public key as Flower keeps it; raises `RunError` for one that Flower cannot use."""
    try:
        key = load_ssh_public_key(public_key.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RunError(f"{public_key[:40]!r} is no OpenSSH public key: {error}") from error
    if not isinstance(key, EllipticCurvePublicKey):
        raise RunError(f"{public_key[:40]!r} is no elliptic-curve key, which Flower needs")
    return public_key_to_bytes(key)
