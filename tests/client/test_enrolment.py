import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_ssh_private_key
from flwr.cli.supernode.register import try_load_public_key

import client.cli.main
from client.enrolment import enroll
from client.rules.hospital_file import HospitalFile, read_hospital_file
from common.errors import InputError
from common.security.certificates import certificate_fingerprint, read_certificate
from common.security.enrolment import read_enrolment_request
from server.members.certificates import make_authority
from tests.client.rules.test_hospital_file import hospital_file

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def hospital(tmp_path: Path) -> HospitalFile:
    make_authority("demo").write(tmp_path / "ca.crt", tmp_path / "ca.key")
    return read_hospital_file(hospital_file(tmp_path))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_key_and_a_request_are_made(hospital: HospitalFile) -> None:
    done = enroll(hospital)
    key = load_ssh_private_key(hospital.node_key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP384R1)
    assert (mode(hospital.node_key), mode(hospital.state)) == (0o600, 0o700)
    assert done.request == hospital.path.parent / "east.request.json"
    request = read_enrolment_request(done.request)
    assert (request.hospital, request.fingerprint) == ("east", done.key_fingerprint)
    assert done.authority_fingerprint == certificate_fingerprint(read_certificate(hospital.ca_certificate))
    public = hospital.state / "node.key.pub"
    assert public.read_text() == request.public_key + "\n"
    # What Flower's own command would make of it.
    assert try_load_public_key(public)


def test_a_second_time_gives_the_same_key(hospital: HospitalFile) -> None:
    first = enroll(hospital)
    key = hospital.node_key.read_bytes()
    (hospital.state / "node.key.pub").unlink()
    hospital.node_key.chmod(0o644)
    assert enroll(hospital) == first
    assert hospital.node_key.read_bytes() == key
    assert (hospital.state / "node.key.pub").exists()
    assert mode(hospital.node_key) == 0o600


def test_a_new_key_keeps_the_former_one(hospital: HospitalFile) -> None:
    assert enroll(hospital, new_key=True).former_key is None
    keys = [hospital.node_key.read_bytes()]
    for _ in range(2):
        done = enroll(hospital, new_key=True)
        assert done.former_key is not None
        assert done.former_key.read_bytes() == keys[-1]
        assert mode(done.former_key) == 0o600
        keys.append(hospital.node_key.read_bytes())
    assert len(set(keys)) == 3
    assert len(list(hospital.state.glob("node.key.20*.pub"))) == 2


def test_the_request_may_go_elsewhere(hospital: HospitalFile) -> None:
    assert enroll(hospital, hospital.state / "it.json").request == hospital.state / "it.json"
    with pytest.raises(InputError, match="No such file"):
        enroll(hospital, hospital.state / "absent" / "it.json")


def test_a_foreign_key_is_not_touched(hospital: HospitalFile) -> None:
    enroll(hospital)
    p256 = ec.generate_private_key(ec.SECP256R1())
    for content, said in (
        (b"nothing", "is no OpenSSH key"),
        (p256.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()), "on P-384"),
    ):
        hospital.node_key.write_bytes(content)
        with pytest.raises(InputError, match=said):
            enroll(hospital)
        assert hospital.node_key.read_bytes() == content


def test_without_the_authority_nothing_is_made(hospital: HospitalFile) -> None:
    hospital.ca_certificate.unlink()
    with pytest.raises(InputError, match=r"ca\.crt: No such file"):
        enroll(hospital)
    assert not hospital.state.exists()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rarefed-hospital", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            client.cli.main.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def test_the_command(hospital: HospitalFile, run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code, _, err = run("enroll", "--file", tmp_path / "absent.yaml")
    assert (code, err.count("\n")) == (2, 1)
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("enroll")
    assert code == 0
    assert read_enrolment_request(tmp_path / "east.request.json").fingerprint in out
    assert run("enroll")[1] == out
    assert "the former key lies in" in run("enroll", "--new-key")[1]
