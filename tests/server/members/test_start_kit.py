"""A hospital's start kit: the same bytes from the same federation, no secret, and few rights for the daemon."""

import contextlib
import io
import re
import zipfile
from importlib.metadata import PackageNotFoundError, distribution, version
from typing import Any

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel

from client.rules.hospital_file import HospitalFile, RulesSection, read_hospital_file
from common.errors import InputError
from common.plan.families import FAMILIES
from server.members import provision
from tests.server.coordinator import APP, Coordinator


def test_kits_are_reproducible_and_hold_no_secret(coordinator: Coordinator) -> None:
    coordinator.provision()
    first = (coordinator.folder.kits / "east.zip").read_bytes()
    (coordinator.folder.kits / "east.zip").unlink()
    assert len(coordinator.provision()) == 1
    assert (coordinator.folder.kits / "east.zip").read_bytes() == first
    kit = coordinator.kit("east")
    assert list(kit) == [
        *("README.md", "ca.crt", "compose.yaml", "hospital.yaml", "rarefed-hospital.service"),
        *("requirements-cpu.txt", "requirements.txt"),
    ]
    assert kit["ca.crt"] == coordinator.folder.certificate("ca").read_bytes()
    assert b"PRIVATE" not in b"".join(kit.values())
    assert zipfile.ZipFile(io.BytesIO(first)).testzip() is None


def pinned(text: str) -> dict[str, list[Requirement]]:
    """Return the packages of a list of requirements by name; each stands there by version, with its digests."""
    found: dict[str, list[Requirement]] = {}
    for entry in re.split(r"\n(?=\S)", text.strip()):
        line, *digests = entry.split(" \\\n    --hash=")
        assert digests, line
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in digests), line
        package = Requirement(line)
        assert [each.operator for each in package.specifier] == ["=="], line
        found.setdefault(package.name, []).append(package)
    return found


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_a_kit_pins_every_package_that_rarefed_needs(coordinator: Coordinator, python: str) -> None:
    coordinator.provision()
    pins = pinned(coordinator.kit("east")["requirements.txt"].decode())
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}
    waiting = [("rarefed", ("dicom", "families"))]
    seen = set(waiting)
    while waiting:
        name, extras = waiting.pop()
        for needed in map(Requirement, distribution(name).requires or []):
            marker = needed.marker
            if marker and not any(marker.evaluate({**environment, "extra": extra}) for extra in (*extras, "")):
                continue
            key = canonicalize_name(needed.name)
            versions = [
                next(iter(pin.specifier)).version
                for pin in pins.get(key, [])
                if not pin.marker or pin.marker.evaluate(environment)
            ]
            assert len(versions) == 1, f"{name} needs {needed}, and {versions} are pinned: `make pins`"
            if name == "rarefed":
                assert needed.specifier.contains(versions[0]), f"{needed}, and {versions[0]} is pinned: `make pins`"
            with contextlib.suppress(PackageNotFoundError):  # those of another Python are not installed here
                distribution(key)
                if (key, tuple(needed.extras)) not in seen:
                    seen.add((key, tuple(needed.extras)))
                    waiting.append((key, tuple(needed.extras)))


def applies(needed: Requirement) -> bool:
    return needed.marker is None or needed.marker.evaluate({"extra": ""})


def entries(text: bytes) -> list[str]:
    return re.split(r"\n(?=\S)", text.decode().strip())


def test_without_a_gpu_a_kit_pins_the_same_but_for_pytorch_and_cuda(coordinator: Coordinator) -> None:
    coordinator.provision()
    kit = coordinator.kit("east")
    pins, cpu = (pinned(kit[name].decode()) for name in ("requirements.txt", "requirements-cpu.txt"))
    assert set(entries(kit["requirements-cpu.txt"])) < set(entries(kit["requirements.txt"])), "with the same digests"
    left_out = pins.keys() - cpu.keys()
    assert {"torch", "torchvision", "triton", "nvidia-cudnn-cu13", "cuda-toolkit"} <= left_out
    of_pytorch = {"filelock", "fsspec", "jinja2", "networkx", "sympy", "typing-extensions"}
    assert of_pytorch <= cpu.keys(), "its wheels for CPUs are installed without what they need"
    for name in cpu:
        with contextlib.suppress(PackageNotFoundError):  # those of another Python are not installed here
            needed = [each for each in map(Requirement, distribution(name).requires or []) if applies(each)]
            missing = {canonicalize_name(each.name) for each in needed} & left_out
            assert missing <= {"torch", "torchvision"}, f"{name} needs {missing} without PyTorch"
    versions = {name: next(iter(pins[name][0].specifier)).version for name in ("torch", "torchvision")}
    readme = " ".join(kit["README.md"].decode().split())
    assert f"torch=={versions['torch']} torchvision=={versions['torchvision']}" in readme


def test_a_kit_names_the_wheel_by_digest(coordinator: Coordinator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.members.start_kit.wheel_digest", lambda: "b" * 64)
    coordinator.provision()
    assert f'echo "{"b" * 64}  rarefed-' in coordinator.kit("east")["README.md"].decode()


def fields(model: type[BaseModel], content: Any, place: str = "") -> list[str]:
    """Return the model's fields that the content does not have, through sections."""
    missing = []
    for name, each in model.model_fields.items():
        if name not in content:
            missing.append(place + name)
        elif isinstance(each.annotation, type) and issubclass(each.annotation, BaseModel):
            missing += fields(each.annotation, content[name], f"{place}{name}.")
    return missing


def test_a_kit_writes_an_ipv6_address_as_its_hospital_reads_it(coordinator: Coordinator) -> None:
    coordinator.host = "2001:db8::1"
    coordinator.provision()
    path = coordinator.place / "hospital.yaml"
    path.write_text(coordinator.kit("east")["hospital.yaml"].decode().replace("  path:\n", "  path: /images\n"))
    assert read_hospital_file(path).server == "[2001:db8::1]:8443"


@pytest.mark.parametrize("name", ["east", "123", "1e5", "null", "on"])
def test_the_kits_hospital_file_needs_its_data_path_only(coordinator: Coordinator, name: str) -> None:
    coordinator.hospitals = [{"name": name}]
    coordinator.provision()
    path = coordinator.place / "hospital.yaml"
    text = coordinator.kit(name)["hospital.yaml"].decode()
    path.write_text(text)
    with pytest.raises(InputError, match=r"hospital\.yaml:\d+: data\.path is empty: fill it in"):
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


@pytest.mark.parametrize("image", [f"sha256:{'c' * 64}", f"registry.example.org:5000/rare/rarefed@sha256:{'c' * 64}"])
def test_a_container_runs_the_image_of_the_consortium_by_digest(coordinator: Coordinator, image: str) -> None:
    assert provisioned_image(coordinator) == f"rarefed:{version('rarefed')}"
    coordinator.image = image
    assert provisioned_image(coordinator) == image


def provisioned_image(coordinator: Coordinator) -> str:
    coordinator.provision()
    return str(yaml.safe_load(coordinator.kit("east")["compose.yaml"])["services"]["hospital"]["image"])


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
