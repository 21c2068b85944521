"""What a hospital's IT reads when something is wrong between it and its server: a line that says what to do."""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from simulations.local_federation.rehearsal import Rehearsal
from tests.production.small import HOSPITALS, PLAN, joined_consortium

pytestmark = pytest.mark.slow

# Python reads this file at its start: ten minutes fast, for the daemon and for its children.
FAST_CLOCK = """
import datetime
class Fast(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return super().now(tz) + datetime.timedelta(minutes=10)
datetime.datetime = Fast
"""


@pytest.fixture(scope="module")
def consortium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    """A server, and hospitals that have joined and do not run."""
    with joined_consortium(tmp_path_factory.mktemp("troubles")) as rehearsal:
        yield rehearsal


@pytest.fixture(autouse=True)
def alone(consortium: Rehearsal) -> Iterator[None]:
    """Each test starts its own daemons, and none is left to the next."""
    yield
    for hospital in HOSPITALS:
        if hospital in consortium.processes.running:
            consortium.processes.kill(hospital, signal.SIGTERM)
        (consortium.folder / f"{hospital}.out").unlink(missing_ok=True)


def wait_for_line(consortium: Rehearsal, hospital: str, *words: str) -> None:
    consortium.processes.wait_for(
        f"{hospital} to say {words}", lambda: all(word in consortium.processes.log(hospital) for word in words)
    )
    assert not consortium.hospitals[hospital].status().get("online")


def test_another_federations_ca(consortium: Rehearsal, tmp_path: Path) -> None:
    ours = consortium.hospitals["east"].folder / "ca.crt"
    kept = ours.read_bytes()
    shutil.copy(other_ca(tmp_path), ours)
    consortium.hospitals["east"].start()
    wait_for_line(consortium, "east", "not signed by this federation's CA")
    consortium.processes.kill("east", signal.SIGTERM)
    ours.write_bytes(kept)


def other_ca(folder: Path) -> Path:
    with Rehearsal(folder / "other", {"east": folder}) as other:
        other.provision()
        return other.server.folder / "pki" / "ca.crt"


def test_a_key_that_was_not_approved(consortium: Rehearsal) -> None:
    state = consortium.hospitals["east"].folder / "state"
    state.rename(state.with_name("kept"))
    consortium.hospitals["east"].command("enroll")
    consortium.hospitals["east"].start()
    wait_for_line(consortium, "east", "the server does not know this hospital's key", "not approved yet")
    consortium.processes.kill("east", signal.SIGTERM)
    shutil.rmtree(state)
    state.with_name("kept").rename(state)


def test_a_clock_that_is_ten_minutes_fast(
    consortium: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(FAST_CLOCK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    consortium.hospitals["east"].start()
    wait_for_line(consortium, "east", "clock is 60", "ahead of the server")


def test_two_daemons_with_one_key(consortium: Rehearsal, tmp_path: Path) -> None:
    consortium.hospitals["north"].start()
    consortium.hospitals["north"].wait_online()
    again = consortium.hospitals["north"].command("start", check=False)
    assert again.returncode == 1
    assert "another daemon" in again.stdout
    # The key copied to another machine.
    south = consortium.hospitals["south"].folder / "state" / "node.key"
    kept = south.read_bytes()
    shutil.copy(consortium.hospitals["north"].folder / "state" / "node.key", south)
    consortium.hospitals["south"].start()
    wait_for_line(consortium, "south", "the server knows this hospital's key as that of 'north'")
    consortium.processes.kill("south", signal.SIGTERM)
    south.write_bytes(kept)


def test_a_daemon_that_was_killed_comes_back_by_itself(consortium: Rehearsal) -> None:
    consortium.hospitals["north"].start()
    consortium.hospitals["north"].wait_online()
    consortium.processes.kill("north")
    consortium.hospitals["north"].start()
    # Flower refuses the key for a minute after a crash.
    consortium.hospitals["north"].wait_online()
    consortium.hospitals["north"].command("audit", "verify")


def test_a_server_that_was_away_finds_its_hospitals_again(consortium: Rehearsal) -> None:
    for hospital in HOSPITALS:
        consortium.hospitals[hospital].start()
    for hospital in HOSPITALS:
        consortium.hospitals[hospital].wait_online()
    consortium.processes.kill("server")
    consortium.server.start()
    assert consortium.server.run(PLAN | {"federation.min_sites": len(HOSPITALS)}) == 0
    summary = json.loads((consortium.server.runs / "latest" / "summary.json").read_bytes())
    assert len(summary["dataset"]["sites"]) == len(HOSPITALS)


# The last: it leaves the server with a certificate that no one accepts.
def test_an_expired_certificate(consortium: Rehearsal) -> None:
    consortium.processes.kill("server", signal.SIGTERM)
    expire(consortium.server.folder / "pki")
    refused = consortium.server.command("start", check=False)
    assert refused.returncode in (1, 2)
    assert "expired" in refused.stdout
    assert "renew" in refused.stdout
    assert len(refused.stdout.strip().splitlines()) == 1
    consortium.server.command("renew")
    consortium.server.start()
    consortium.hospitals["north"].start()
    consortium.hospitals["north"].wait_online()


def expire(pki: Path) -> None:
    """Give the gateway a certificate of the same CA that ended yesterday."""
    old = x509.load_pem_x509_certificate((pki / "gateway.crt").read_bytes())
    ca = x509.load_pem_x509_certificate((pki / "ca.crt").read_bytes())
    key = serialization.load_pem_private_key((pki / "ca.key").read_bytes(), None)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(ca.subject)
        .public_key(old.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now - timedelta(days=1))
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    certificate = builder.sign(key, hashes.SHA256())  # type: ignore[arg-type]
    (pki / "gateway.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
