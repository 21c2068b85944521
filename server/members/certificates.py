"""The federation's certificate authority, and the certificates of its server.

They follow RFC 5280 as strictly as OpenSSL 3 and Python's ``VERIFY_X509_STRICT`` check it: key identifiers, critical
constraints, and names in ``subjectAltName`` only.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from common.errors import InputError
from common.security.certificates import read_certificate
from common.system.files import write_bytes_atomically
from common.system.unreadable import explain_unreadable

SERVER_VALIDITY = timedelta(days=397)
"""The longest validity that all TLS libraries accept."""

RENEWAL = timedelta(days=30)
"""How long before it expires a certificate is renewed."""

_AUTHORITY_VALIDITY = timedelta(days=3653)
# A hospital whose clock is slow need not wait for a new certificate.
_CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Credential:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @classmethod
    def read(cls, certificate: Path, key: Path) -> Self:
        """Read both from PEM files.

        Raises
        ------
        InputError
            If one is missing or damaged, or they do not belong together.
        """
        read = cls(read_certificate(certificate), _read_key(key))
        if read.certificate.public_key() != read.key.public_key():
            raise InputError(f"{key} is not the key of {certificate}")
        return read

    def write(self, certificate: Path, key: Path) -> None:
        """Write both as PEM files, the key readable by its owner only.

        The key is written first: if the process is killed in between, `read` refuses the pair, but no key is lost.
        """
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_bytes_atomically(key, pem, mode=0o600)
        write_bytes_atomically(certificate, self.certificate.public_bytes(Encoding.PEM))


def make_authority(federation: str) -> Credential:
    """Make the certificate authority of a federation, valid for ten years.

    Parameters
    ----------
    federation : str
        Its name; at most 64 characters.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(federation, "rarefed CA")
    now = datetime.now(UTC)
    builder = (
        _builder(name, name, key, now, now + _AUTHORITY_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
    )
    return Credential(builder.sign(key, SHA256()), key)


def issue_server_certificate(authority: Credential, name: str, hosts: Iterable[str]) -> Credential:
    """Issue a certificate for a TLS server, with a key of its own, valid for 397 days or as long as the authority.

    Parameters
    ----------
    authority : Credential
        From `make_authority`.
    name : str
        For people to read; TLS checks the hosts only.
    hosts : iterable of str
        Names and IP addresses under which clients reach the server, as in a consortium file.

    Raises
    ------
    InputError
        If the authority has ended.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    now = datetime.now(UTC)
    if now >= issuer.not_valid_after_utc:
        raise InputError(
            f"the CA ended on {issuer.not_valid_after_utc:%Y-%m-%d}: provision a new folder and send new start kits"
        )
    issuer_key_id = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    end = min(now + SERVER_VALIDITY, issuer.not_valid_after_utc)
    builder = (
        _builder(_name(federation_of(issuer), name), issuer.subject, key, now, end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key_id), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternative_names(hosts)), critical=False)
    )
    return Credential(builder.sign(authority.key, SHA256()), key)


def why_renew(certificate: x509.Certificate, authority: x509.Certificate, hosts: Iterable[str]) -> str | None:
    """Return why a server certificate must be issued again; None if it need not."""
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError):
        return "another CA signed it"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    if set(names) != set(_alternative_names(hosts)):
        return "the server's names have changed"
    end = certificate.not_valid_after_utc
    # A certificate that expires with its authority cannot be replaced by one that is valid for longer.
    if end - datetime.now(UTC) < RENEWAL and end < authority.not_valid_after_utc:
        return f"it ends on {end:%Y-%m-%d}"
    return None


def federation_of(certificate: x509.Certificate) -> str:
    """Return the name of the federation in a certificate; empty if there is none."""
    return "".join(str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise InputError(explain_unreadable(path, error)) from error
    except (ValueError, TypeError) as error:
        raise InputError(f"{path}: is no private key in PEM format without a password") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InputError(f"{path}: is no elliptic-curve key")
    return key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(federation: str, common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, federation),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(hosts: Iterable[str]) -> list[x509.GeneralName]:
    return list(dict.fromkeys(_alternative_name(host) for host in hosts))


def _alternative_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host.lower())
