"""The certificates of the CA and of the server: whether they can be read, and for how long they are valid."""

from datetime import UTC, datetime, timedelta

from cryptography import x509

from client.preflight.findings import Finding, failed, passed, warn
from client.rules.hospital_file import HospitalFile

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
    except ValueError:
        return failed(check, f"{path} is no certificate in PEM format", mend)
    mend = "ask the coordinator for a start kit with a new CA"
    return judge_validity(check, "the federation's CA certificate", certificate, mend)


def judge_validity(check: str, whose: str, certificate: x509.Certificate, mend: str) -> Finding:
    """Check that a certificate is valid now and will be for another month.

    Parameters
    ----------
    check : str
        Name of the finding.
    whose : str
        What the finding calls the certificate.
    certificate : Certificate
        Of the server or of the CA.
    mend : str
        How to get a new one.
    """
    now = datetime.now(UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > ends:
        found = f"{whose} expired on {ends:%Y-%m-%d}; by this machine's clock today is {now:%Y-%m-%d}"
        return failed(check, found, mend)
    if now < begins:
        found = f"{whose} is good from {begins:%Y-%m-%d %H:%M} UTC on; this machine's clock says {now:%Y-%m-%d %H:%M}"
        return failed(check, found, f"set the clock: {SET_CLOCK}")
    if ends - now < _SOON:
        return warn(check, f"{whose} expires on {ends:%Y-%m-%d}, in {(ends - now).days} days", mend)
    return passed(check, f"{whose} is good until {ends:%Y-%m-%d}")
