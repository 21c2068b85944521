"""Provisioning: what it makes, that it can be repeated, changed and interrupted, and its commands' exit codes."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel

import server.cli.main
from client.rules.hospital_file import HospitalFile, RulesSection, read_hospital_file
from common.errors import InputError
from common.plan.families import FAMILIES
from common.security.certificates import read_certificate
from common.security.enrolment import make_enrolment_request, read_enrolment_request
from server.members import certificates, provision
from server.members.certificates import Credential
from server.members.registry import Registry, admitted_nodes
from server.members.server_folder import ServerFolder

APP = "a" * 64


@dataclass
class Coordinator:
    """Somebody with a consortium file and a folder."""

    place: Path
    host: str = "fl.example.org"
    also: list[str] = field(default_factory=list)
    hospitals: list[dict[str, str]] = field(default_factory=lambda: [{"name": "east"}, {"name": "west"}])
    name: str = "demo"

    @property
    def folder(self) -> ServerFolder:
        return ServerFolder(self.place / "federation")

    @property
    def file(self) -> Path:
        return self.place / "consortium.yaml"

    def write(self) -> Path:
        server = {"host": self.host, "also": self.also}
        self.file.write_text(yaml.safe_dump({"name": self.name, "server": server, "hospitals": self.hospitals}))
        return self.file

    def provision(self) -> list[str]:
        said: list[str] = []
        provision.provision(self.write(), self.folder, APP, said.append)
        return said

    def kit(self, hospital: str) -> dict[str, bytes]:
        with zipfile.ZipFile(self.folder.kits / f"{hospital}.zip") as kit:
            return {name: kit.read(name) for name in kit.namelist()}

    def request(self, hospital: str, key: ec.EllipticCurvePrivateKey) -> Path:
        path = self.place / f"{hospital}.request.json"
        path.write_text(make_enrolment_request(hospital, key).to_json())
        return path


@pytest.fixture
def coordinator(tmp_path: Path) -> Coordinator:
    return Coordinator(tmp_path)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


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
    assert len(said) == 10


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
        for module in ("server.members.provision", "server.members.certificates", "common.system.files"):
            patch.setattr(f"{module}.write_bytes_atomically", interrupted)
        with pytest.raises(KeyboardInterrupt):
            coordinator.provision()
    assert coordinator.provision() != []
    for name in ("ca", "gateway", "loopback"):
        Credential.read(coordinator.folder.certificate(name), coordinator.folder.key(name))
    assert sorted(Registry(coordinator.folder).hospitals()) == ["east", "west"]
    assert coordinator.provision() == []


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
    with pytest.raises(InputError, match="Not a directory"):
        coordinator.provision()


# The start kit


def test_kits_are_reproducible_and_hold_no_secret(coordinator: Coordinator) -> None:
    coordinator.provision()
    first = (coordinator.folder.kits / "east.zip").read_bytes()
    (coordinator.folder.kits / "east.zip").unlink()
    assert len(coordinator.provision()) == 1
    assert (coordinator.folder.kits / "east.zip").read_bytes() == first
    kit = coordinator.kit("east")
    assert list(kit) == ["README.md", "ca.crt", "compose.yaml", "hospital.yaml", "rarefed-hospital.service"]
    assert kit["ca.crt"] == coordinator.folder.certificate("ca").read_bytes()
    assert b"PRIVATE" not in b"".join(kit.values())
    assert zipfile.ZipFile(io.BytesIO(first)).testzip() is None


def fields(model: type[BaseModel], content: Any, place: str = "") -> list[str]:
    """Return the model's fields that the content does not have, through sections."""
    missing = []
    for name, each in model.model_fields.items():
        if name not in content:
            missing.append(place + name)
        elif isinstance(each.annotation, type) and issubclass(each.annotation, BaseModel):
            missing += fields(each.annotation, content[name], f"{place}{name}.")
    return missing


@pytest.mark.parametrize("name", ["east", "123", "1e5", "null", "on"])
def test_the_kits_hospital_file_needs_its_data_path_only(coordinator: Coordinator, name: str) -> None:
    coordinator.hospitals = [{"name": name}]
    coordinator.provision()
    path = coordinator.place / "hospital.yaml"
    text = coordinator.kit(name)["hospital.yaml"].decode()
    path.write_text(text)
    with pytest.raises(InputError, match=r"hospital\.yaml:\d+: data\.path = None"):
        read_hospital_file(path)
    path.write_text(text.replace("  path:\n", "  path: /images\n"))
    hospital = read_hospital_file(path)
    assert (hospital.name, hospital.server) == (name, "fl.example.org:8443")
    assert hospital.rules.apps == (APP,)
    assert fields(HospitalFile, yaml.safe_load(text)) == []
    # The defaults of the kit are those of the code.
    defaults = HospitalFile.model_validate(
        {
            **{"name": name, "server": hospital.server, "data": {"path": "/images"}},
            "rules": {"apps": hospital.rules.apps, "families": tuple(FAMILIES)},
        }
    ).resolved(path)
    assert hospital == defaults
    assert hospital.rules == RulesSection(apps=(APP,), families=tuple(FAMILIES))


def test_a_kit_without_an_app_approves_none(coordinator: Coordinator) -> None:
    provision.provision(coordinator.write(), coordinator.folder, "", print)
    assert yaml.safe_load(coordinator.kit("east")["hospital.yaml"])["rules"]["apps"] == []


def test_the_daemon_gets_few_rights(coordinator: Coordinator) -> None:
    coordinator.provision()
    kit = coordinator.kit("east")
    service = yaml.safe_load(kit["compose.yaml"])["services"]["hospital"]
    assert service["cap_drop"] == ["ALL"]
    assert service["read_only"] is True
    assert service["user"].split(":")[0] != "0"
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert [volume for volume in service["volumes"] if not volume.endswith(":ro")] == ["./state:/srv/rarefed/state"]
    unit = kit["rarefed-hospital.service"].decode().splitlines()
    for line in (
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "ProtectHome=yes",
        "PrivateTmp=yes",
        "CapabilityBoundingSet=",
        "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
        "Restart=always",
        "RestartSec=10",
        "StartLimitIntervalSec=0",
        "TimeoutStopSec=90",
        "User=rarefed",
        "ReadWritePaths=/srv/rarefed/state",
    ):
        assert line in unit


# Members


def test_an_approved_key_that_is_revoked_never_comes_back(coordinator: Coordinator) -> None:
    coordinator.provision()
    registry = Registry(coordinator.folder)
    first = make_enrolment_request("east", new_key())
    assert registry.approve(first).state == "approved"
    assert registry.approve(first) == registry.find("east")
    assert registry.revoke("east")
    assert not registry.revoke("east")
    with pytest.raises(InputError, match="--new-key"):
        registry.approve(first)
    second = make_enrolment_request("east", new_key())
    approved = registry.approve(second)
    assert (approved.state, approved.public_key, approved.revoked) == ("approved", second.public_key, None)
    assert approved.revoked_keys == (first.public_key,)


def test_a_new_key_shuts_the_former_one_out(coordinator: Coordinator) -> None:
    coordinator.provision()
    registry = Registry(coordinator.folder)
    requests = [make_enrolment_request("east", new_key()) for _ in range(2)]
    for request in requests:
        approved = registry.approve(request)
    assert approved.revoked_keys == (requests[0].public_key,)
    with pytest.raises(InputError, match="was revoked"):
        registry.approve(requests[0])


def test_a_key_belongs_to_one_hospital(coordinator: Coordinator) -> None:
    coordinator.provision()
    registry = Registry(coordinator.folder)
    key = new_key()
    registry.approve(make_enrolment_request("east", key))
    with pytest.raises(InputError, match="is that of east"):
        registry.approve(make_enrolment_request("west", key))
    registry.revoke("east")
    with pytest.raises(InputError, match="was revoked"):
        registry.approve(make_enrolment_request("west", key))
    with pytest.raises(InputError, match="no hospital 'wst' in this federation; did you mean west"):
        registry.revoke("wst")


def test_admitted_are_approved_hospitals_that_flower_knows(coordinator: Coordinator) -> None:
    coordinator.provision()
    registry = Registry(coordinator.folder)
    for hospital, node in (("east", 2**63 + 1), ("west", 7)):
        registry.approve(make_enrolment_request(hospital, new_key()))
        path = coordinator.folder.hospitals / f"{hospital}.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "node_id": node}))
    registry.revoke("west")
    assert admitted_nodes(coordinator.folder) == {2**63 + 1: "east"}


@pytest.mark.parametrize("content", ["", "[]", '{"name": "east", "state": "friend"}', '{"name": "west"}', "\xff"])
def test_a_damaged_record_is_named(coordinator: Coordinator, content: str) -> None:
    coordinator.provision()
    path = coordinator.folder.hospitals / "east.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(InputError) as raised:
        Registry(coordinator.folder).hospitals()
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


# The commands


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(coordinator.place)

    def call(*arguments: object, answer: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rarefed-server", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
        with pytest.raises(SystemExit) as ended:
            server.cli.main.main()
        printed = capsys.readouterr()
        return int(ended.value.code or 0), printed.out, printed.err

    return call


def test_a_hospital_is_invited_approved_and_revoked_by_commands(coordinator: Coordinator, run: Run) -> None:
    code, out, _ = run("provision", coordinator.write(), "--app-hash", APP)
    assert code == 0
    assert "kits/east.zip: made" in out
    assert run("provision", coordinator.file, "--app-hash", APP)[1] == "everything is as the file says\n"
    request = coordinator.request("east", new_key())
    code, out, err = run("approve", request, answer="n\n")
    assert (code, err) == (2, "error: not approved: compare the fingerprints over the phone first\n")
    fingerprint = read_enrolment_request(request).fingerprint
    assert fingerprint in out
    assert run("approve", request, "--fingerprint", "SHA256:other")[0] == 2
    assert run("approve", request, "--fingerprint", fingerprint)[0] == 0
    assert run("approve", request, answer="y\n")[0] == 0
    listed = {each["name"]: each for each in json.loads(run("hospitals", "--json")[1])}
    assert listed["east"]["fingerprint"] == fingerprint
    assert {name: each["state"] for name, each in listed.items()} == {"east": "approved", "west": "invited"}
    assert fingerprint in run("hospitals")[1]
    assert run("revoke", "east", answer="n\n")[0] == 2
    assert run("revoke", "east", answer="y\n")[0] == 0
    assert run("revoke", "east")[:2] == (0, "east was revoked before\n")
    assert run("approve", request, "--yes")[0] == 2
    assert run("approve", coordinator.request("east", new_key()), "--yes")[0] == 0
    assert run("renew")[0] == 0


def test_bad_input_is_one_line_and_exit_code_2(coordinator: Coordinator, run: Run) -> None:
    for command in (["hospitals"], ["renew"], ["revoke", "east"], ["approve", "absent.json"]):
        code, _, err = run(*command)
        assert code == 2
        assert "holds no federation" in err
        assert err.count("\n") == 1
    for arguments in (["absent.yaml"], [coordinator.write(), "--app-hash", "abc"]):
        code, _, err = run("provision", *arguments)
        assert (code, err.count("\n")) == (2, 1)
    run("provision", coordinator.file)
    for command in (["revoke", "est"], ["approve", "absent.json"]):
        code, _, err = run(*command)
        assert (code, err.count("\n")) == (2, 1)
    code, _, err = run("approve", coordinator.request("north", new_key()), "--yes")
    assert code == 2
    assert "no hospital of this federation (east, west)" in err


def test_a_hospital_that_left_the_file_is_not_approved(coordinator: Coordinator, run: Run) -> None:
    coordinator.provision()
    coordinator.hospitals = [{"name": "west"}]
    coordinator.provision()
    assert run("approve", coordinator.request("east", new_key()), "--yes")[0] == 2


def test_the_folder_may_come_from_the_environment(
    coordinator: Coordinator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAREFED_SERVER_FOLDER", str(coordinator.place / "elsewhere"))
    assert run("provision", coordinator.write())[0] == 0
    assert (coordinator.place / "elsewhere" / "pki" / "ca.crt").exists()


def test_flowers_own_readers_take_what_is_made(coordinator: Coordinator) -> None:
    from flwr.supercore.auth import load_superexec_auth_secret

    coordinator.provision()
    assert load_superexec_auth_secret(str(coordinator.folder.superlink / "superexec.secret"))


def test_looking_members_up_needs_no_torch() -> None:
    code = "import sys, server.cli; sys.exit('torch' in sys.modules or 'flwr' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
