"""What the daemon decides without its processes; tests/production has it run for real."""

import socket
from pathlib import Path

import pytest

from client.daemon.daemon import Daemon
from client.daemon.programs import runner_program
from client.daemon.server_contact import ServerContact
from client.daemon.status import daemon_runs
from client.rules.audit_log import AuditLog, Event
from client.rules.hospital_file import HospitalFile
from common.errors import InputError, RunError
from common.system.ports import free_ports
from tests.client.hospital import write_hospital, write_node_key


@pytest.fixture
def hospital(tmp_path: Path) -> HospitalFile:
    ports = dict(zip(("runtime", "health"), free_ports(2), strict=True))
    hospital = write_hospital(tmp_path, tmp_path, ports=ports)
    write_node_key(hospital.node_key)
    hospital.ca_certificate.write_text("certificate")
    return hospital


def test_a_hospital_that_has_not_enrolled_is_told_to(hospital: HospitalFile) -> None:
    hospital.node_key.unlink()
    with pytest.raises(InputError, match="rarefed-hospital enroll"):
        Daemon(hospital, print).run()


def test_a_damaged_node_key_is_named_before_anything_starts(hospital: HospitalFile) -> None:
    hospital.node_key.write_text("junk")
    with pytest.raises(InputError, match="no OpenSSH key"):
        Daemon(hospital, print).run()


def test_a_daemon_without_its_ca_says_where_it_comes_from(hospital: HospitalFile) -> None:
    hospital.ca_certificate.unlink()
    with pytest.raises(InputError, match="start kit"):
        Daemon(hospital, print).run()


def test_a_damaged_audit_log_keeps_the_daemon_from_starting(hospital: HospitalFile) -> None:
    AuditLog(hospital.audit_log).append(Event.STARTED)
    hospital.audit_log.write_bytes(hospital.audit_log.read_bytes().replace(b"started", b"stopped"))
    with pytest.raises(InputError, match="record 1 was changed"):
        Daemon(hospital, print).run()
    assert not daemon_runs(hospital.state)


def test_a_taken_port_is_named_with_the_field_to_change(hospital: HospitalFile) -> None:
    told = rf"port {hospital.ports.health} .* change ports in hospital.yaml"
    with socket.create_server(("127.0.0.1", hospital.ports.health)), pytest.raises(RunError, match=told):
        Daemon(hospital, print).run()


def test_the_runner_gets_no_secret_of_another_program(hospital: HospitalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "https_proxy"):
        monkeypatch.setenv(name, "http://anna:hunter2@proxy:3128")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    given = runner_program(hospital, ServerContact(hospital, print)).environment
    assert "hunter2" not in str(given)
    assert given["CUDA_VISIBLE_DEVICES"] == "1"
    assert given["NO_ALBUMENTATIONS_UPDATE"] == "1"
