"""Compose files and images: the hardening that the operations guide promises."""

import fnmatch
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from client.rules.hospital_file import PortsSection
from server.members.consortium import ServerSection
from tests.deploy.guide import DEPLOY, GUIDE, ROOT
from tests.deploy.kit import kit_file

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GATEWAY_PORT = ServerSection.model_fields["port"].default
SIDES = ("server", "hospital")
USER = 10001


def compose_text(side: str) -> str:
    return kit_file("compose.yaml") if side == "hospital" else (DEPLOY / side / "compose.yaml").read_text()


def service(side: str) -> dict[str, Any]:
    content = yaml.safe_load(compose_text(side))
    assert list(content["services"]) == [side]
    found: dict[str, Any] = content["services"][side]
    return found


def default(text: str) -> str:
    """Return a value of a compose file with the defaults of its variables."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


@pytest.mark.parametrize("side", SIDES)
def test_a_container_has_no_rights(side: str) -> None:
    found = service(side)
    assert found["user"] == f"{USER}:{USER}"
    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["tmpfs"] == ["/tmp:size=1g,mode=1777"]
    forbidden = {"cap_add", "privileged", "network_mode", "pid", "ipc", "devices", "entrypoint", "command"}
    assert not forbidden & found.keys()


@pytest.mark.parametrize("side", SIDES)
def test_a_container_has_limits_and_time_to_stop(side: str) -> None:
    found = service(side)
    assert re.fullmatch(r"\d+g", found["mem_limit"])
    assert found["cpus"] >= 2
    assert found["pids_limit"] > 0
    assert found["stop_grace_period"] == "90s"
    assert found["restart"] == "unless-stopped"
    assert found["logging"]["options"] == {"max-size": "10m", "max-file": "5"}


def test_the_server_publishes_the_gateways_port_alone() -> None:
    assert [default(port) for port in service("server")["ports"]] == [f"{GATEWAY_PORT}:{GATEWAY_PORT}"]


def test_a_hospital_publishes_nothing_and_can_write_its_state_alone() -> None:
    found = service("hospital")
    assert "ports" not in found
    assert "expose" not in found
    assert found["volumes"] == [".:/srv/rarefed:ro", "./state:/srv/rarefed/state", "/path/to/images:/data:ro"]


def test_the_server_can_write_its_folder_alone() -> None:
    assert [default(volume) for volume in service("server")["volumes"]] == [
        "./federation:/federation",
        "./desk:/desk:ro",
    ]


def stages() -> dict[str, str]:
    """Return the stages of the Dockerfile by name, without comments, lines that end in a backslash joined."""
    lines = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    parts = re.split(r"^(?=FROM )", text, flags=re.MULTILINE)[1:]
    return {part.splitlines()[0].rpartition(" AS ")[2]: part for part in parts}


def final_stage(side: str) -> str:
    """Return what the image of a side is made of: the stage that both share, and its own."""
    found = stages()
    assert found[side].startswith(f"FROM runtime AS {side}\n")
    return found["runtime"] + found[side]


@pytest.mark.parametrize("side", SIDES)
def test_an_image_is_built_in_a_stage_of_its_own_and_runs_as_nobody(side: str) -> None:
    build, final = stages()["build"], final_stage(side)
    assert list(stages()) == ["build", "runtime", *SIDES]
    assert build.startswith("FROM ${PYTHON_IMAGE} AS build")
    assert "ARG PYTHON_IMAGE=python:3.12-slim\n" in (DEPLOY / "Dockerfile").read_text()
    assert "ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu" in build
    assert "pip wheel --no-deps --wheel-dir /wheel ." in build
    assert final.startswith("FROM ${PYTHON_IMAGE} AS runtime\n")
    assert '--constraint /pins.txt --index-url "$TORCH_INDEX" torch torchvision' in build
    assert "COPY --from=build /opt/rarefed /opt/rarefed" in final
    assert re.search(r"^ENV PATH=/opt/rarefed/bin:\$PATH .*HOME=/tmp$", final, re.MULTILINE)
    assert f"USER {USER}:{USER}" in final
    assert f"--uid {USER}" in final
    assert final.index("RUN ") < final.index("USER ")
    assert f'ENTRYPOINT ["tini", "--", "rarefed-{side}"]' in final
    assert 'CMD ["start"]' in final


def test_an_image_looks_where_the_volumes_are_mounted() -> None:
    folders = {side: re.findall(r"RAREFED_\w+=(\S+)", final_stage(side)) for side in SIDES}
    assert folders == {"server": ["/federation", "/federation/weights"], "hospital": ["/srv/rarefed/hospital.yaml"]}


@pytest.mark.parametrize("side", SIDES)
def test_the_final_image_has_no_build_tools(side: str) -> None:
    build, final = stages()["build"], final_stage(side)
    assert "python -m venv --without-pip /opt/rarefed" in build
    assert "pip uninstall --yes pip" in final
    assert "pip install" not in final
    assert re.findall(r"apt-get install --yes --no-install-recommends ([^&]+?) +&&", final) == ["tini"]
    # Nothing of the checkout but what is named.
    copied = re.findall(r"^COPY (.+)$", final, re.MULTILINE)
    assert all(words.startswith(("--from=build /opt/rarefed ", "deploy/server/healthcheck.py ")) for words in copied)


@pytest.mark.parametrize(
    ("side", "command"), [("server", "healthcheck.py"), ("hospital", '"rarefed-hospital", "status"')]
)
def test_an_image_says_how_it_is(side: str, command: str) -> None:
    (check,) = re.findall(r"^HEALTHCHECK .*$", final_stage(side), re.MULTILINE)
    assert command in check
    assert "--start-period=120s" in check


def test_a_build_sees_what_the_wheel_needs_and_nothing_else() -> None:
    project, wheel = PROJECT["project"], PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = [
        "pyproject.toml",
        project["readme"],
        *project["license-files"],
        *wheel["packages"],
        *wheel["force-include"],
    ]
    for name in [*needed, "deploy/server/healthcheck.py"]:
        assert not ignored(name), name
    for name in (".git", ".venv", "runs", "tests", "federation", "images", "consortium.yaml", "hospital.yaml"):
        assert ignored(name), name


def ignored(name: str) -> bool:
    """Say whether .dockerignore leaves a path out; its last line that matches decides."""
    verdict = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip().removeprefix("!").rstrip("/")
        if pattern and not line.startswith("#"):
            parents = [name, *(str(parent) for parent in Path(name).parents if str(parent) != ".")]
            if any(fnmatch.fnmatchcase(each, pattern) for each in parents):
                verdict = not line.startswith("!")
    return verdict


def test_images_carry_the_version_of_the_project() -> None:
    version = PROJECT["project"]["version"]
    for side in SIDES:
        assert default(service(side)["image"]).endswith(f":{version}")
        assert f":{version} ." in (DEPLOY / "Dockerfile").read_text()
    kustomization = yaml.safe_load((DEPLOY / "kubernetes" / "kustomization.yaml").read_text())
    assert kustomization["images"][0]["newTag"] == version
    assert set(re.findall(r"rarefed(?:-server)?[:-](\d+\.\d+\.\d+)", GUIDE.read_text())) == {version}


def test_a_hospitals_ports_are_not_published_anywhere() -> None:
    local = [str(field.default) for field in PortsSection.model_fields.values()]
    local.append(str(ServerSection.model_fields["superlink_port"].default))
    files = [*DEPLOY.glob("*/compose.yaml"), DEPLOY / "Dockerfile", *DEPLOY.glob("kubernetes/*.yaml")]
    texts = {path.name: path.read_text() for path in files} | {"the kit's compose.yaml": kit_file("compose.yaml")}
    assert not [name for name, text in texts.items() for port in local if port in text]
