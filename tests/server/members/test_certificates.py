"""The certificates in real TLS handshakes, as strict as Python and OpenSSL can be."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from common.errors import InputError
from server.members import certificates
from server.members.certificates import Credential, federation_of, issue_server_certificate, make_authority, why_renew

AUTHORITY = make_authority("demo")
HOSTS = ("fl.example.org", "localhost", "127.0.0.1", "::1")


def write(folder: Path, name: str, credential: Credential) -> tuple[Path, Path]:
    paths = folder / f"{name}.crt", folder / f"{name}.key"
    credential.write(*paths)
    return paths


@contextmanager
def serving(certificate: Path, key: Path) -> Iterator[int]:
    """Serve handshakes on a port of loopback."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    context.wrap_socket(connection, server_side=True).close()
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def shake_hands(port: int, authority: Path, host: str) -> None:
    context = ssl.create_default_context(cafile=str(authority))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        context.wrap_socket(plain, server_hostname=host).close()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    credential = issue_server_certificate(AUTHORITY, "gateway", HOSTS)
    with serving(*write(tmp_path_factory.mktemp("server"), "gateway", credential)) as number:
        yield number


@pytest.mark.parametrize("host", HOSTS)
def test_strict_clients_accept_every_name(port: int, tmp_path: Path, host: str) -> None:
    shake_hands(port, write(tmp_path, "ca", AUTHORITY)[0], host)


def test_another_name_is_refused(port: int, tmp_path: Path) -> None:
    authority = write(tmp_path, "ca", AUTHORITY)[0]
    for host in ("example.org", "127.0.0.2", "other.example.org"):
        with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"):
            shake_hands(port, authority, host)


def test_another_authority_is_refused_even_of_the_same_name(port: int, tmp_path: Path) -> None:
    other = write(tmp_path, "other", make_authority("demo"))[0]
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(port, other, "localhost")


def test_a_server_certificate_cannot_sign(tmp_path: Path) -> None:
    server = issue_server_certificate(AUTHORITY, "gateway", HOSTS)
    forged = issue_server_certificate(server, "gateway", ["localhost"])
    with serving(*write(tmp_path, "forged", forged)) as port:
        for anchor in ("ca", "server"):
            path = write(tmp_path, anchor, AUTHORITY if anchor == "ca" else server)[0]
            with pytest.raises(ssl.SSLCertVerificationError):
                shake_hands(port, path, "localhost")


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_openssl_accepts_them_strictly(tmp_path: Path) -> None:
    authority = write(tmp_path, "ca", AUTHORITY)[0]
    server = write(tmp_path, "server", issue_server_certificate(AUTHORITY, "gateway", HOSTS))[0]
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", authority, server]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.endswith("OK\n")


def test_keys_are_their_owners_and_pairs_are_checked(tmp_path: Path) -> None:
    certificate, key = write(tmp_path, "ca", AUTHORITY)
    assert key.stat().st_mode & 0o777 == 0o600
    assert Credential.read(certificate, key).certificate == AUTHORITY.certificate
    _, other = write(tmp_path, "other", make_authority("demo"))
    with pytest.raises(InputError, match="is not the key of"):
        Credential.read(certificate, other)
    other.write_text("nothing")
    with pytest.raises(InputError, match=r"other\.key: is no private key"):
        Credential.read(certificate, other)
    with pytest.raises(InputError, match=r"absent\.crt: No such file"):
        Credential.read(tmp_path / "absent.crt", key)
    with pytest.raises(InputError, match=r"ca\.key: is no certificate"):
        Credential.read(key, key)


def test_validity() -> None:
    server = issue_server_certificate(AUTHORITY, "gateway", HOSTS).certificate
    assert timedelta(days=397) < server.not_valid_after_utc - server.not_valid_before_utc < timedelta(days=397.1)
    assert federation_of(server) == federation_of(AUTHORITY.certificate) == "demo"


def test_a_reason_is_given_for_every_renewal(monkeypatch: pytest.MonkeyPatch) -> None:
    authority = AUTHORITY.certificate
    server = issue_server_certificate(AUTHORITY, "gateway", HOSTS).certificate
    assert why_renew(server, authority, reversed(HOSTS)) is None
    assert why_renew(server, authority, HOSTS[1:]) == "the server's names have changed"
    assert why_renew(server, make_authority("demo").certificate, HOSTS) == "another CA signed it"
    monkeypatch.setattr(certificates, "SERVER_VALIDITY", timedelta(days=29))
    ending = issue_server_certificate(AUTHORITY, "gateway", HOSTS).certificate
    assert str(why_renew(ending, authority, HOSTS)).startswith("it ends on 2")


def test_nothing_outlives_its_authority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "_AUTHORITY_VALIDITY", timedelta(days=20))
    authority = make_authority("demo")
    server = issue_server_certificate(authority, "gateway", HOSTS).certificate
    assert server.not_valid_after_utc == authority.certificate.not_valid_after_utc
    assert why_renew(server, authority.certificate, HOSTS) is None
    monkeypatch.setattr(certificates, "_AUTHORITY_VALIDITY", timedelta(0))
    with pytest.raises(InputError, match="the CA ended on"):
        issue_server_certificate(make_authority("demo"), "gateway", HOSTS)


def test_a_name_stands_once_in_a_certificate() -> None:
    issued = issue_server_certificate(AUTHORITY, "gateway", ["A.org", "a.org", "a.org", "::1"]).certificate
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.org"]
