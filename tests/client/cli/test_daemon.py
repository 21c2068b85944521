"""`rarefed-hospital status`: what it says, and its exit code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from client.cli.main import app
from client.daemon.status import only_daemon, write_status
from client.rules.audit_log import AuditLog, Event
from client.rules.hospital_file import HospitalFile
from tests.client.hospital import write_hospital

PROCESSES = {"supernode": {"pid": 5, "restarts": 2, "last_exit": 1}, "runner": {"pid": None, "restarts": 0}}


@pytest.fixture
def hospital(tmp_path: Path) -> HospitalFile:
    return write_hospital(tmp_path, tmp_path)


def status(hospital: HospitalFile, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["status", "--file", str(hospital.path), *arguments])


def test_without_a_daemon(hospital: HospitalFile) -> None:
    result = status(hospital)
    assert result.exit_code == 1
    assert result.stdout == "north: the daemon does not run; start it with `rarefed-hospital start`\n"
    assert json.loads(status(hospital, "--json").stdout) == {"running": False, "last_request": None}


def test_online(hospital: HospitalFile) -> None:
    log = AuditLog(hospital.audit_log)
    log.append(Event.STARTED)
    log.append(Event.TRAINED, kind="train")
    log.append(Event.STOPPED)
    status_now = {"online": True, "since": 0, "processes": PROCESSES, "waiting_plans": ["12" * 32, "34" * 32]}
    write_status(hospital.state, status_now)
    with only_daemon(hospital.state):
        result = status(hospital)
        told = json.loads(status(hospital, "--json").stdout)
    assert result.exit_code == 0
    first, *others = result.stdout.splitlines()
    assert first.startswith("north: online at localhost:8443, daemon up for ")
    assert others[:2] == ["supernode: running, restarted 2 times", "runner: starting, restarted 0 times"]
    assert others[2].startswith("2 plans asked for, and not approved here, the latest 1212121212121212: ")
    assert others[3].startswith("last: trained (train) at 20")
    assert (told["running"], told["online"], told["last_request"]["event"]) == (True, True, "trained")


def test_offline_with_its_problem(hospital: HospitalFile) -> None:
    write_status(hospital.state, {"online": False, "problem": "port 8443 refuses connections"})
    with only_daemon(hospital.state):
        result = status(hospital)
    assert result.exit_code == 1
    assert "north: offline at localhost:8443" in result.stdout
    assert "problem: port 8443 refuses connections" in result.stdout


def test_codes_of_a_server_are_not_shown(hospital: HospitalFile) -> None:
    """Which an earlier version may have written down."""
    AuditLog(hospital.audit_log).append(Event.REFUSED, kind="train.\x1b[2J")
    write_status(hospital.state, {"online": False, "problem": "it is for evil\x1b]0;owned\x07"})
    with only_daemon(hospital.state):
        result = status(hospital)
    assert r"problem: it is for evil\x1b]0;owned\x07" in result.stdout
    assert "\x1b" not in result.stdout
