"""Certificates of strangers: whatever they hold, what can be read of them is read, and nothing else happens."""

import random
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from client.preflight.certificates import check_ca_certificate, issuer_of, judge_validity, names_of
from client.preflight.findings import Status
from tests.client.hospital import write_hospital
from tests.client.preflight.certificates import Authority


def test_no_certificate_raises() -> None:
    whole = Authority.make().certificate.public_bytes(Encoding.DER)
    draw = random.Random(1)
    unread = 0
    for _ in range(3000):
        damaged = bytearray(whole)
        for _ in range(draw.randint(1, 3)):
            damaged[draw.randrange(len(whole))] = draw.randrange(256)
        issuer, names = issuer_of(bytes(damaged)), names_of(bytes(damaged))
        unread += issuer is None or names is None
        judge_validity("x", "it", bytes(damaged), "ask")
    assert unread > 1000


@pytest.mark.parametrize("certificate", [b"", b"\x30", b"x" * 1000])
def test_what_is_no_certificate_cannot_be_read(certificate: bytes) -> None:
    assert issuer_of(certificate) is None
    assert names_of(certificate) is None
    finding = judge_validity("TLS", "the server's certificate", certificate, "ask")
    assert (finding.status, finding.found) == (Status.FAILED, "the server's certificate cannot be read")


def test_a_ca_of_no_known_version_is_none(tmp_path: Path) -> None:
    der = (
        Authority.make()
        .certificate.public_bytes(Encoding.DER)
        .replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1)
    )
    from ssl import DER_cert_to_PEM_cert

    (tmp_path / "ca.crt").write_text(DER_cert_to_PEM_cert(der))
    assert "is no certificate" in check_ca_certificate(write_hospital(tmp_path, tmp_path)).found
