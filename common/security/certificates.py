"""Reads certificates from PEM files."""

from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from common.errors import InputError
from common.system.unreadable import explain_unreadable


def read_certificate(path: Path) -> x509.Certificate:
    """Read a PEM file; raises `InputError` with the path if that fails."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        raise InputError(explain_unreadable(path, error)) from error
    except ValueError as error:
        raise InputError(f"{path}: is no certificate in PEM format") from error


def certificate_fingerprint(certificate: x509.Certificate) -> str:
    """Return a certificate's SHA-256 as `openssl x509 -noout -fingerprint -sha256` prints it."""
    return certificate.fingerprint(SHA256()).hex(":").upper()
