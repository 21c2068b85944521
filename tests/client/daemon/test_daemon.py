"""What the daemon decides without its processes; tests/production has it run for real."""

import os
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from client.daemon import daemon as module
from client.daemon.daemon import Daemon, running
from client.preflight.findings import failed, passed
from client.rules.audit_log import AuditLog, Event
from client.rules.hospital_file import HospitalFile
from common.errors import InputError, RunError
from tests.client.hospital import write_hospital


@pytest.fixture
def hospital(tmp_path: Path) -> HospitalFile:
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        ports = {"runtime": one.getsockname()[1], "health": other.getsockname()[1]}
    hospital = write_hospital(tmp_path, tmp_path, ports=ports)
    hospital.node_key.write_text("key")
    hospital.ca_certificate.write_text("certificate")
    return hospital


def test_a_hospital_that_has_not_enrolled_is_told_to(hospital: HospitalFile) -> None:
    hospital.node_key.unlink()
    with pytest.raises(InputError, match="rarefed-hospital enroll"):
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
    assert not running(hospital)


def test_a_taken_port_is_named_with_the_field_to_change(hospital: HospitalFile) -> None:
    told = rf"port {hospital.ports.health} .* hospital.yaml \(ports\)"
    with socket.create_server(("127.0.0.1", hospital.ports.health)), pytest.raises(RunError, match=told):
        Daemon(hospital, print).run()


@pytest.mark.parametrize(
    ("contact_seconds_ago", "findings", "works"),
    [
        (10, [failed("server port", "nobody answers", "wait")], True),
        # A server that is away is no reason to end a SuperNode that may hold a reply.
        (400, [failed("server port", "nobody answers", "wait")], True),
        # One that answers others and does not hear of us: the SuperNode is stuck.
        (400, [passed("federation", "serving")], False),
        (None, [passed("federation", "serving")], False),
    ],
)
def test_a_supernode_that_lives_and_is_offline_is_restarted(
    hospital: HospitalFile, monkeypatch: pytest.MonkeyPatch, contact_seconds_ago: int | None, findings: Any, works: bool
) -> None:
    monkeypatch.setattr(module, "diagnose_connection", lambda hospital: findings)
    if contact_seconds_ago is not None:
        contact = hospital.state / "contact"
        contact.touch()
        moment = time.time() - contact_seconds_ago
        os.utime(contact, (moment, moment))
    assert Daemon(hospital, print)._node_works() is works


def test_a_refused_key_is_first_waited_for_and_then_explained(
    hospital: HospitalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    daemon = Daemon(hospital, said.append)
    line = "[code: 2004] Failed to activate SuperNode"
    daemon._read_node(line)
    monkeypatch.setattr(module, "_AFTER_CRASH_BEATS", 0)
    daemon._read_node(line)
    daemon._read_node(line)
    assert "trying again" in said[0]
    assert "not approved" in said[1]
    assert "fingerprint" in said[1]
    assert len(said) == 2
