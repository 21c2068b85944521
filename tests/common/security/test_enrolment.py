import json
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from common.errors import InputError
from common.security.enrolment import key_fingerprint, make_enrolment_request, public_key_text, read_enrolment_request

KEY = ec.generate_private_key(ec.SECP384R1())


def write(folder: Path, **changes: object) -> Path:
    path = folder / "east.request.json"
    path.write_text(json.dumps({**json.loads(make_enrolment_request("east", KEY).to_json()), **changes}))
    return path


def refused(path: Path) -> str:
    with pytest.raises(InputError) as raised:
        read_enrolment_request(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_a_request_is_read_as_it_was_written(tmp_path: Path) -> None:
    request = make_enrolment_request("Östliche Klinik", KEY)
    path = tmp_path / "it.json"
    path.write_text(request.to_json(), encoding="utf-8")
    assert read_enrolment_request(path) == request
    assert request.public_key == public_key_text(KEY.public_key())
    assert "PRIVATE" not in path.read_text()


@pytest.mark.parametrize("field", ["hospital", "rarefed", "created"])
def test_a_changed_field_is_noticed(tmp_path: Path, field: str) -> None:
    value = "2020-01-01T00:00:00+00:00" if field == "created" else "west"
    assert "was changed after the hospital signed it" in refused(write(tmp_path, **{field: value}))


def test_another_key_or_signature_is_noticed(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP384R1())
    assert "was changed" in refused(write(tmp_path, public_key=public_key_text(other.public_key())))
    assert "was changed" in refused(write(tmp_path, signature=make_enrolment_request("east", other).signature))
    assert "was changed" in refused(write(tmp_path, signature="no base64!"))


def openssh(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@pytest.mark.parametrize(
    "key",
    [openssh(ec.generate_private_key(ec.SECP256R1())), openssh(ed25519.Ed25519PrivateKey.generate())],
    ids=["another curve", "another algorithm"],
)
def test_a_key_of_another_kind_is_refused(tmp_path: Path, key: str) -> None:
    assert "not on the curve P-384" in refused(write(tmp_path, public_key=key))


def test_only_the_bare_key_is_taken(tmp_path: Path) -> None:
    key = public_key_text(KEY.public_key())
    assert "something before or after" in refused(write(tmp_path, public_key=f"{key} me@home"))
    assert "no OpenSSH public key" in refused(write(tmp_path, public_key="ssh-rsa nothing"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no JSON"),
        (b"\x89PNG\xff", "is no JSON"),
        (b"[" * 16000, "is no JSON"),
        (b"[]", "is no request to join"),
        (b"{}", "hospital: Field required"),
        (b" " * (16 * 1024) + b"{}", "is larger than 16 kB"),
    ],
)
def test_what_is_no_request_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "it.json"
    path.write_bytes(content)
    assert said in refused(path)


def test_fields_have_their_kind(tmp_path: Path) -> None:
    assert "hospital" in refused(write(tmp_path, hospital=5))
    assert "an unknown field" in refused(write(tmp_path, **{"\x1b[2J": "rm"}))
    assert "\x1b" not in refused(write(tmp_path, **{"\x1b[2J": "rm"}))
    assert "created" in refused(write(tmp_path, created="yesterday"))
    assert "created" in refused(write(tmp_path, created="2026-01-01T00:00:00"))
    assert "created" in refused(write(tmp_path, created="0001-01-01T00:00:00+23:59"))
    assert "No such file" in refused(tmp_path / "absent.json")


@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="needs ssh-keygen")
def test_the_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    text = public_key_text(KEY.public_key())
    (tmp_path / "key.pub").write_text(text + "\n")
    printed = subprocess.run(["ssh-keygen", "-lf", tmp_path / "key.pub"], check=True, capture_output=True, text=True)
    assert printed.stdout.split()[1] == key_fingerprint(text)
