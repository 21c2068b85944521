"""A small certificate authority, and what it signs: made anew for a test, never kept."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.certificate_usage import CA_USAGE
from tests.server.gateway.members import Members


class Authority:
    """Signs certificates for this machine; its own is `<folder>/ca.crt`. `members` are the federation's hospitals."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self._folder = folder
        self.members = Members(folder / "federation")
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority {folder.name}")])
        self.path = folder / "ca.crt"
        extensions = [(x509.BasicConstraints(ca=True, path_length=0), True), (CA_USAGE, True)]
        certificate = self._sign(self._name, self._key, extensions)
        self.path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, names: bytes | None = None) -> tuple[Path, Path]:
        """Write a certificate for localhost and 127.0.0.1, fit for both ends, and its key; return the two paths.

        `names`: in the place of the two hosts, the bytes of the extension (DER).
        """
        key = ec.generate_private_key(ec.SECP256R1())
        hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        extension: x509.ExtensionType = x509.SubjectAlternativeName(hosts)
        if names is not None:
            extension = x509.UnrecognizedExtension(extension.oid, names)
        certificate = self._sign(subject, key, [(extension, False)])
        paths = (self._folder / f"{name}.crt", self._folder / f"{name}.key")
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extensions: list[tuple[x509.ExtensionType, bool]],
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        public = key.public_key()
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256())
