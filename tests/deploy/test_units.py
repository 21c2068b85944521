"""The systemd units: the hardening that the operations guide promises, and that systemd understands it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.guide import DEPLOY
from tests.deploy.kit import kit_file

SIDES = ("server", "hospital")

HARDENING = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectProc": "invisible",
    "ProtectClock": "yes",
    "ProtectHostname": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectControlGroups": "yes",
    "RestrictNamespaces": "yes",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "RestrictRealtime": "yes",
    "RestrictSUIDSGID": "yes",
    "RemoveIPC": "yes",
    "LockPersonality": "yes",
    "KeyringMode": "private",
    "SystemCallArchitectures": "native",
    "SystemCallFilter": "@system-service",
    "UMask": "0077",
    "User": "rarefed",
    "Restart": "always",
    "RestartSec": "10",
    "KillMode": "mixed",
    "TimeoutStopSec": "90",
    "StartLimitIntervalSec": "0",
}
OWN_HARDENING = {
    "server": {
        "ProtectHome": "yes",
        "PrivateUsers": "yes",
        "StateDirectory": "rarefed-server",
        "StateDirectoryMode": "0700",
        "Environment": "RAREFED_SERVER_FOLDER=/var/lib/rarefed-server",
        "ExecStart": "/opt/rarefed/bin/rarefed-server start",
    },
    "hospital": {
        "ProtectHome": "yes",
        # The daemon cannot write its own rules.
        "ReadWritePaths": "/srv/rarefed/state",
        "Environment": "RAREFED_HOSPITAL_FILE=/srv/rarefed/hospital.yaml",
        "OOMPolicy": "continue",
        "ExecStart": "/opt/rarefed/bin/rarefed-hospital start",
    },
}
# Tenths, as systemd-analyze counts: 20 is 2.0, "OK".
WORST_EXPOSURE = 20


def unit_text(side: str) -> str:
    name = f"rarefed-{side}.service"
    return kit_file(name) if side == "hospital" else (DEPLOY / "systemd" / name).read_text()


def settings(side: str) -> dict[str, str]:
    lines = unit_text(side).splitlines()
    pairs = [line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")]
    assert len(pairs) == len({key for key, _ in pairs}), "a setting stands twice"
    return {pair[0]: pair[1] for pair in pairs}


@pytest.mark.parametrize("side", SIDES)
def test_a_unit_is_hardened(side: str) -> None:
    found = settings(side)
    expected = HARDENING | OWN_HARDENING[side]
    assert {key: found.get(key) for key in expected} == expected


@pytest.mark.parametrize("side", SIDES)
def test_a_unit_shows_how_to_limit_memory(side: str) -> None:
    assert "\n#MemoryMax=" in unit_text(side)


@pytest.fixture(params=SIDES)
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A unit as on a machine where its command is installed."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    text = unit_text(request.param)
    path = tmp_path / f"rarefed-{request.param}.service"
    path.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    return path


def test_systemd_accepts_a_unit(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert unit.name not in done.stderr


def test_systemd_finds_little_exposure(unit: Path) -> None:
    command = [
        "systemd-analyze",
        "security",
        "--offline=true",
        f"--threshold={WORST_EXPOSURE}",
        "--no-pager",
        str(unit),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
