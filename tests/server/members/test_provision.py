"""Provisioning: what it makes, and that it can be repeated, changed and interrupted."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.errors import InputError
from common.security.certificates import read_certificate
from common.security.enrolment import make_enrolment_request
from server.members import certificates, provision
from server.members.certificates import Credential
from server.members.registry import Registry
from tests.server.coordinator import APP, Coordinator, new_key


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_provisioning_makes_everything_and_says_so(coordinator: Coordinator) -> None:
    said = coordinator.provision()
    folder = coordinator.folder
    for name in ("ca", "gateway", "loopback"):
        Credential.read(folder.certificate(name), folder.key(name))
        assert folder.key(name).stat().st_mode & 0o777 == 0o600
    for path in (folder.pki, folder.superlink, folder.hospitals):
        assert path.stat().st_mode & 0o777 == 0o700
    secret = folder.superlink / "superexec.secret"
    assert len(secret.read_bytes()) == 32
    assert secret.stat().st_mode & 0o777 == 0o600
    assert {name: member.state for name, member in Registry(folder).hospitals().items()} == {
        "east": "invited",
        "west": "invited",
    }
    assert folder.consortium.read_bytes() == coordinator.file.read_bytes()
    assert sorted(path.name for path in folder.kits.iterdir()) == ["east.zip", "west.zip"]
    assert len(said) == 11


def test_a_folder_that_others_may_enter_is_said_with_the_way_to_shut_it(coordinator: Coordinator) -> None:
    root = coordinator.folder.root
    root.mkdir()
    root.chmod(0o755)
    told = f"{root}: others may enter it (mode 755): `chmod 700 {root}`"
    assert coordinator.provision()[0] == told
    root.chmod(0o710)
    assert coordinator.provision() == [told.replace("755", "710")]
    root.chmod(0o700)
    assert coordinator.provision() == []


def test_a_second_time_does_nothing(coordinator: Coordinator) -> None:
    coordinator.provision()
    before = everything(coordinator.folder.root)
    assert coordinator.provision() == []
    assert everything(coordinator.folder.root) == before


def test_the_file_may_lie_in_the_folder(coordinator: Coordinator) -> None:
    coordinator.folder.root.mkdir()
    coordinator.write().rename(coordinator.folder.consortium)
    provision.provision(coordinator.folder.consortium, coordinator.folder, APP, print)
    assert Registry(coordinator.folder).hospitals()


def test_members_come_and_go_with_the_file(coordinator: Coordinator) -> None:
    coordinator.provision()
    before = everything(coordinator.folder.root)
    coordinator.hospitals = [{"name": "east", "contact": "+1 555"}, {"name": "north"}]
    said = coordinator.provision()
    assert any(line.startswith("hospital west: revoked") for line in said)
    assert "hospital east: contact changed" in said
    assert "hospital north: invited" in said
    states = {name: member.state for name, member in Registry(coordinator.folder).hospitals().items()}
    assert states == {"east": "invited", "north": "invited", "west": "revoked"}
    assert sorted(path.name for path in coordinator.folder.kits.iterdir()) == ["east.zip", "north.zip"]
    after = everything(coordinator.folder.root)
    for kept in ("pki/ca.crt", "pki/ca.key", "pki/gateway.crt", "superlink/superexec.secret", "kits/east.zip"):
        assert after[kept] == before[kept]
    assert coordinator.provision() == []


def test_who_comes_back_into_the_file_is_told_to_be_shut_out_still(coordinator: Coordinator) -> None:
    coordinator.provision()
    registry = Registry(coordinator.folder)
    registry.approve(make_enrolment_request("east", new_key()))
    both, coordinator.hospitals = coordinator.hospitals, [{"name": "north"}]
    assert not [line for line in coordinator.provision() if "takes no part" in line], "the file does not name them"
    coordinator.hospitals = both
    for _ in range(2):  # as long as it is so
        said = [line for line in coordinator.provision() if "takes no part" in line]
        assert [line.split(" since")[0] for line in said] == ["hospital east: is revoked", "hospital west: is revoked"]
        assert said[0].endswith(
            "`rarefed-server approve` its request, which must hold a new key (`rarefed-hospital enroll --new-key`)"
        )
        assert said[1].endswith("to let it in again, `rarefed-server approve` its request"), "it never had a key"
    for name in ("east", "west"):
        registry.approve(make_enrolment_request(name, new_key()))
    assert coordinator.provision() == []


def test_nobody_is_shut_out_and_nothing_changed_unless_that_is_meant(coordinator: Coordinator) -> None:
    coordinator.provision()
    before = everything(coordinator.folder.root)
    coordinator.hospitals = [{"name": "west", "contact": "+1 555"}, {"name": "north"}]
    asked: list[list[str]] = []

    def refuse(names: list[str]) -> bool:
        asked.append(names)
        return False

    with pytest.raises(InputError, match=r"nothing was done: .*consortium\.yaml leaves out east"):
        provision.provision(coordinator.write(), coordinator.folder, APP, print, refuse)
    assert asked == [["east"]]
    assert everything(coordinator.folder.root) == before


def test_only_those_are_shut_out_that_were_asked_about(coordinator: Coordinator) -> None:
    coordinator.provision()
    coordinator.hospitals = [{"name": "west"}]

    def somebody_adds_one(names: list[str]) -> bool:
        Registry(coordinator.folder).invite("south", "")
        return names == ["east"]

    provision.provision(coordinator.write(), coordinator.folder, APP, print, somebody_adds_one)
    states = {name: member.state for name, member in Registry(coordinator.folder).hospitals().items()}
    assert states == {"east": "revoked", "south": "invited", "west": "invited"}


def test_new_names_renew_the_gateways_certificate_alone(coordinator: Coordinator) -> None:
    coordinator.provision()
    before = everything(coordinator.folder.root)
    coordinator.also = ["10.0.0.7"]
    said = coordinator.provision()
    after = everything(coordinator.folder.root)
    assert {name for name in after if after[name] != before[name]} == {
        "consortium.yaml",
        "pki/gateway.crt",
        "pki/gateway.key",
    }
    assert any("the server's names have changed" in line and "restart" in line for line in said)


def test_certificates_near_their_end_are_renewed(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(certificates, "SERVER_VALIDITY", timedelta(days=29))
        coordinator.provision()
    said = coordinator.provision()
    assert [line for line in said if "it ends on" in line] == said
    assert len(said) == 2
    end = read_certificate(coordinator.folder.certificate("gateway")).not_valid_after_utc
    assert end - datetime.now(UTC) > timedelta(days=390)


def test_renewing_on_demand_keeps_the_authority(coordinator: Coordinator) -> None:
    coordinator.provision()
    before = everything(coordinator.folder.pki)
    provision.renew(coordinator.folder, print)
    after = everything(coordinator.folder.pki)
    assert {name for name in after if after[name] == before[name]} == {"ca.crt", "ca.key"}
    assert coordinator.provision() == []


def test_an_authority_key_that_lies_elsewhere_is_asked_for_only_when_needed(coordinator: Coordinator) -> None:
    coordinator.provision()
    coordinator.folder.key("ca").unlink()
    coordinator.hospitals.append({"name": "north"})
    assert "hospital north: invited" in coordinator.provision()
    with pytest.raises(InputError, match=r"ca\.key is missing: put it back"):
        provision.renew(coordinator.folder, print)


WRITERS = (
    *("server.members.provision", "server.members.certificates"),
    *("common.security.secret_file", "common.system.files"),
)


@pytest.mark.parametrize("writes", range(12))
def test_an_interruption_anywhere_is_mended_by_the_next_run(
    coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    real = provision.write_bytes_atomically
    left = writes

    def interrupted(path: Path, content: bytes, mode: int = 0o644) -> None:
        nonlocal left
        if left == 0:
            raise KeyboardInterrupt
        left -= 1
        real(path, content, mode)

    with monkeypatch.context() as patch:
        for module in WRITERS:
            patch.setattr(f"{module}.write_bytes_atomically", interrupted)
        with pytest.raises(KeyboardInterrupt):
            coordinator.provision()
    assert coordinator.provision() != []
    for name in ("ca", "gateway", "loopback"):
        Credential.read(coordinator.folder.certificate(name), coordinator.folder.key(name))
    assert sorted(Registry(coordinator.folder).hospitals()) == ["east", "west"]
    assert coordinator.provision() == []


def test_no_second_authority_is_made_where_the_first_ones_certificate_is_lost(coordinator: Coordinator) -> None:
    coordinator.provision()
    coordinator.folder.certificate("ca").unlink()
    before = everything(coordinator.folder.root)
    with pytest.raises(InputError, match=r"ca\.crt is missing, which signed the others: put it back from a backup"):
        coordinator.provision()
    assert everything(coordinator.folder.root) == before


def test_a_folder_of_something_else_is_left_alone(coordinator: Coordinator) -> None:
    coordinator.folder.root.mkdir()
    (coordinator.folder.root / "thesis.doc").write_text("x")
    with pytest.raises(InputError, match=r"holds something else \(thesis\.doc\)"):
        coordinator.provision()
    assert everything(coordinator.folder.root) == {"thesis.doc": b"x"}


def test_another_federations_folder_is_left_alone(coordinator: Coordinator) -> None:
    coordinator.provision()
    before = everything(coordinator.folder.root)
    coordinator.name = "other"
    with pytest.raises(InputError, match="holds the federation 'demo', and the file is of 'other'"):
        coordinator.provision()
    assert everything(coordinator.folder.root) == before


def test_a_file_in_the_folders_place_is_refused(coordinator: Coordinator) -> None:
    coordinator.folder.root.write_text("x")
    with pytest.raises(InputError, match="Not a directory; --folder must name a folder"):
        coordinator.provision()


def test_flowers_own_readers_take_what_is_made(coordinator: Coordinator) -> None:
    from flwr.supercore.auth import load_superexec_auth_secret

    coordinator.provision()
    assert load_superexec_auth_secret(str(coordinator.folder.superlink / "superexec.secret"))
