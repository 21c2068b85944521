"""The certificates on both ends of the connection: whether they are readable, and for how long they are good."""

from datetime import UTC, datetime, timedelta

from cryptography import x509

from client.preflight.findings import Finding, failed, passed, warn
from client.rules.hospital_file import HospitalFile

SET_CLOCK = "sudo timedatectl set-ntp true"
"""How to mend a clock, for all who find it wrong."""

_SOON = timedelta(days=30)


def check_ca_certificate(hospital: HospitalFile) -> Finding:
    """See that the federation's CA from the start kit can be read and is still good."""
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
    """Say whether a certificate is good now and in a month.

    Parameters
    ----------
    check : str
        Name of the finding.
    whose : str
        The certificate in words.
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
