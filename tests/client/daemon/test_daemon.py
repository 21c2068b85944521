"""What the daemon decides without its processes; tests/production has it run for real."""

import socket
from pathlib import Path

import pytest

from client.daemon.daemon import Daemon
from client.daemon.health import HealthServer
from client.daemon.programs import runner_program
from client.daemon.runtime_port import port_problem
from client.daemon.server_contact import ServerContact
from client.daemon.status import daemon_runs, read_status
from client.rules.audit_log import AuditLog, Event
from client.rules.hospital_file import HospitalFile
from common.errors import InputError, RunError
from common.system.loopback import KNOWN
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
    told = rf"port {hospital.ports.health} .* hospital.yaml \(ports\)"
    with socket.create_server(("127.0.0.1", hospital.ports.health)), pytest.raises(RunError, match=told):
        Daemon(hospital, print).run()


def test_a_health_port_that_was_taken_in_the_meantime_is_one_line(hospital: HospitalFile) -> None:
    port = hospital.ports.health
    with socket.create_server(("127.0.0.1", port)), pytest.raises(RunError, match=rf"port {port} .* \(ports.health\)"):
        HealthServer(port)


@pytest.mark.skipif(not KNOWN, reason="this system does not say whose a socket is")
def test_the_port_of_the_supernode_is_its_own_while_it_runs(hospital: HospitalFile) -> None:
    port = hospital.ports.runtime
    assert port_problem(port, True) is port_problem(port, False) is None
    with socket.create_server(("127.0.0.1", port)):
        assert port_problem(port, True) is None
        assert "another program of this user" in str(port_problem(port, False))


def test_who_holds_the_port_of_the_supernode_is_said_once(hospital: HospitalFile) -> None:
    hospital.logs.mkdir(exist_ok=True)
    said: list[str] = []
    daemon = Daemon(hospital, said.append)
    for problem in ("held by eve", "held by eve", None, "held by eve"):
        daemon._tell_port_problem(problem)
    daemon._write_status([])
    assert said == ["held by eve", "held by eve"]
    assert read_status(hospital.state)["problem"] == "held by eve"


def test_the_runner_gets_no_secret_of_another_program(hospital: HospitalFile, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "https_proxy"):
        monkeypatch.setenv(name, "http://anna:hunter2@proxy:3128")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    given = runner_program(hospital, ServerContact(hospital, print)).environment
    assert "hunter2" not in str(given)
    assert given["CUDA_VISIBLE_DEVICES"] == "1"
    assert given["NO_ALBUMENTATIONS_UPDATE"] == "1"
