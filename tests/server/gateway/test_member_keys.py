"""Whose signature is taken for whose, and how soon the registry's changes are noticed."""

from datetime import UTC, datetime, timedelta

import pytest
from flwr.supercore.constant import MAX_TIMESTAMP_DIFF_SECONDS, MIN_TIMESTAMP_DIFF_SECONDS
from flwr.supercore.primitives.asymmetric import generate_key_pairs

from server.gateway import member_keys
from server.gateway.member_keys import EARLIEST_SECONDS, LATEST_SECONDS, MemberKeys
from tests.server.gateway.members import Members, signed_by


@pytest.fixture
def members(tmp_path, monkeypatch):
    monkeypatch.setattr(member_keys, "_LOOK_SECONDS", 0)
    return Members(tmp_path / "federation")


def signer(keys, headers):
    return keys.signer(
        *(headers[f"flwr-{name}"].encode("latin-1") for name in ("public-key", "timestamp", "signature"))
    )


def test_who_signed_is_told(members):
    keys = MemberKeys(members.folder)
    assert [signer(keys, members.signature(name)) for name in ("north", "south")] == ["north", "south"]
    assert signer(keys, signed_by(generate_key_pairs()[0])) is None


def test_the_window_of_time_is_the_superlinks(members):
    assert (EARLIEST_SECONDS, LATEST_SECONDS) == (MIN_TIMESTAMP_DIFF_SECONDS, MAX_TIMESTAMP_DIFF_SECONDS)
    keys = MemberKeys(members.folder)
    for age, known in {0: True, 300: True, 310: False, -3: True, -7: False}.items():
        headers = signed_by(members.keys["north"], datetime.now(UTC) - timedelta(seconds=age))
        assert (signer(keys, headers) == "north") is known
    assert signer(keys, signed_by(members.keys["north"], datetime.now())) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("signature", ""),
        ("signature", "AAAA"),
        ("signature", "no base64!"),
        ("signature", "MAYCAQACAQA="),
        ("timestamp", ""),
        ("timestamp", "yesterday"),
        ("timestamp", "\xff"),
        ("timestamp", "2026-01-01T00:00:00+00:00"),
        ("public-key", ""),
    ],
)
def test_what_is_no_signature_is_nobodys(members, name, value):
    assert signer(MemberKeys(members.folder), members.signature("north") | {f"flwr-{name}": value}) is None


def test_another_hospitals_signature_does_not_do(members):
    north, south = members.signature("north"), members.signature("south")
    assert signer(MemberKeys(members.folder), north | {"flwr-signature": south["flwr-signature"]}) is None


def test_changes_of_the_registry_are_noticed(members):
    keys = MemberKeys(members.folder)
    former = members.keys["north"]
    members.approve("new")
    assert signer(keys, members.signature("new")) == "new"
    members.approve("north")
    assert signer(keys, members.signature("north")) == "north"
    assert signer(keys, signed_by(former)) is None
    members.registry.revoke("south")
    assert signer(keys, members.signature("south")) is None
    (members.folder.hospitals / "new.json").write_text("{")
    assert signer(keys, members.signature("new")) is None
    assert signer(keys, members.signature("north")) == "north"


def test_a_key_that_cannot_be_read_concerns_its_hospital_alone(members):
    record = members.folder.hospitals / "south.json"
    record.write_text(record.read_text().replace("ecdsa-sha2-nistp384", "ssh-rsa"))
    keys = MemberKeys(members.folder)
    assert [signer(keys, members.signature(name)) for name in ("north", "south")] == ["north", None]


def test_a_registry_that_cannot_be_read_for_a_moment_shuts_nobody_out(members):
    keys = MemberKeys(members.folder)
    assert signer(keys, members.signature("north")) == "north"
    members.folder.hospitals.rename(members.folder.root / "away")
    assert signer(keys, members.signature("north")) == "north"
