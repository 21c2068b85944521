"""The certificates of the CA and of the server: whether they can be read, and for how long they are valid."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from client.preflight.findings import Finding, failed, passed, warn
from client.rules.hospital_file import HospitalFile

_T = TypeVar("_T")

SET_CLOCK = "sudo timedatectl set-ntp true"
"""The command that sets a wrong clock."""

_SOON = timedelta(days=30)


def check_ca_certificate(hospital: HospitalFile) -> Finding:
    """Check that the CA certificate of the start kit can be read and is still valid."""
    path, check = hospital.ca_certificate, "CA certificate"
    mend = "copy ca.crt from the start kit there, or set ca_certificate in hospital.yaml"
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        return failed(check, f"{path} cannot be read ({error.strerror})", mend)
    except (ValueError, x509.InvalidVersion):
        return failed(check, f"{path} is no certificate in PEM format", mend)
    mend = "ask the coordinator for a start kit with a new CA"
    return judge_validity(check, "the federation's CA certificate", certificate.public_bytes(Encoding.DER), mend)


def judge_validity(check: str, whose: str, certificate: bytes, mend: str) -> Finding:
    """Check that a certificate is valid now and will be for another month.

    Parameters
    ----------
    check : str
        Name of the finding.
    whose : str
        What the finding calls the certificate.
    certificate : bytes
        Of the server or of the CA (DER).
    mend : str
        How to get a new one.
    """
    now = datetime.now(UTC)
    validity = _read(certificate, lambda read: (read.not_valid_before_utc, read.not_valid_after_utc))
    if validity is None:
        return failed(check, f"{whose} cannot be read", mend)
    begins, ends = validity
    if now > ends:
        found = f"{whose} expired on {ends:%Y-%m-%d}; by this machine's clock today is {now:%Y-%m-%d}"
        return failed(check, found, mend)
    if now < begins:
        found = f"{whose} is good from {begins:%Y-%m-%d %H:%M} UTC on; this machine's clock says {now:%Y-%m-%d %H:%M}"
        return failed(check, found, f"set the clock: {SET_CLOCK}")
    if ends - now < _SOON:
        return warn(check, f"{whose} expires on {ends:%Y-%m-%d}, in {(ends - now).days} days", mend)
    return passed(check, f"{whose} is good until {ends:%Y-%m-%d}")


def issuer_of(certificate: bytes) -> str | None:
    """Return who signed a certificate (DER), in its own words; None if that cannot be read."""
    return _read(certificate, lambda read: read.issuer.rfc4514_string())


def names_of(certificate: bytes) -> list[str] | None:
    """Return the names and addresses that a certificate (DER) is for, in its own words; None if they cannot be read."""
    return _read(certificate, _names)


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def _read(certificate: bytes, part: Callable[[x509.Certificate], _T]) -> _T | None:
    """Return a part of a certificate that anybody may have made; None where it cannot be read."""
    try:
        return part(x509.load_der_x509_certificate(certificate))
    except Exception:  # noqa: BLE001 - of damaged ones: ValueError, TypeError, and several of x509's own without a base
        return None
