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
        if hospital in consortium.running:
            consortium.kill(hospital, signal.SIGTERM)
        (consortium.folder / f"{hospital}.out").unlink(missing_ok=True)


def wait_for_line(consortium: Rehearsal, hospital: str, *words: str) -> None:
    consortium.wait_for(f"{hospital} to say {words}", lambda: all(word in consortium.log(hospital) for word in words))
    assert not consortium.hospital_status(hospital).get("online")


def test_another_federations_ca(consortium: Rehearsal, tmp_path: Path) -> None:
    ours = consortium.place("east") / "ca.crt"
    kept = ours.read_bytes()
    shutil.copy(other_ca(tmp_path), ours)
    consortium.start_hospital("east")
    wait_for_line(consortium, "east", "not signed by this federation's CA")
    consortium.kill("east", signal.SIGTERM)
    ours.write_bytes(kept)


def other_ca(folder: Path) -> Path:
    with Rehearsal(folder / "other", {"east": folder}) as other:
        other.provision()
        return other.server_folder / "pki" / "ca.crt"


def test_a_key_that_was_not_approved(consortium: Rehearsal) -> None:
    state = consortium.place("east") / "state"
    state.rename(state.with_name("kept"))
    consortium.hospital("east", "enroll")
    consortium.start_hospital("east")
    wait_for_line(consortium, "east", "refuses this hospital's key")
    consortium.kill("east", signal.SIGTERM)
    shutil.rmtree(state)
    state.with_name("kept").rename(state)


def test_a_clock_that_is_ten_minutes_fast(
    consortium: Rehearsal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(FAST_CLOCK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    consortium.start_hospital("east")
    wait_for_line(consortium, "east", "clock is 60", "ahead of the server")


def test_two_daemons_with_one_key(consortium: Rehearsal, tmp_path: Path) -> None:
    consortium.start_hospital("north")
    consortium.wait_online("north")
    again = consortium.hospital("north", "start", check=False)
    assert again.returncode == 1
    assert "another daemon" in again.stdout
    # The key copied to another machine.
    south = consortium.place("south") / "state" / "node.key"
    kept = south.read_bytes()
    shutil.copy(consortium.place("north") / "state" / "node.key", south)
    consortium.start_hospital("south")
    wait_for_line(consortium, "south", "refuses this hospital's key")
    consortium.kill("south", signal.SIGTERM)
    south.write_bytes(kept)


def test_a_daemon_that_was_killed_comes_back_by_itself(consortium: Rehearsal) -> None:
    consortium.start_hospital("north")
    consortium.wait_online("north")
    consortium.kill("north")
    consortium.start_hospital("north")
    # Flower refuses the key for a minute after a crash.
    consortium.wait_online("north")
    consortium.hospital("north", "audit", "verify")


def test_a_server_that_was_away_finds_its_hospitals_again(consortium: Rehearsal) -> None:
    for hospital in HOSPITALS:
        consortium.start_hospital(hospital)
    for hospital in HOSPITALS:
        consortium.wait_online(hospital)
    consortium.kill("server")
    consortium.start_server()
    assert consortium.run(PLAN | {"federation.min_sites": len(HOSPITALS)}) == 0
    summary = json.loads((consortium.runs / "latest" / "summary.json").read_bytes())
    assert len(summary["dataset"]["sites"]) == len(HOSPITALS)


# The last: it leaves the server with a certificate that no one accepts.
def test_an_expired_certificate(consortium: Rehearsal) -> None:
    consortium.kill("server", signal.SIGTERM)
    expire(consortium.server_folder / "pki")
    refused = consortium.server("start", check=False)
    assert refused.returncode in (1, 2)
    assert "expired" in refused.stdout
    assert "renew" in refused.stdout
    assert len(refused.stdout.strip().splitlines()) == 1
    consortium.server("renew")
    consortium.start_server()
    consortium.start_hospital("north")
    consortium.wait_online("north")


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
