"""Whether the server hears of a hospital, what is said when that changes, and why not."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from client.daemon import diagnosis, server_contact
from client.daemon.server_contact import ServerContact
from client.preflight.findings import Finding, failed, passed
from client.rules.hospital_file import HospitalFile
from tests.client.hospital import write_hospital
from tests.waiting import wait_for


@pytest.fixture
def hospital(tmp_path: Path) -> HospitalFile:
    return write_hospital(tmp_path, tmp_path)


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What a diagnosis finds."""
    findings: list[Finding] = []
    monkeypatch.setattr(diagnosis, "diagnose_connection", lambda hospital: findings)
    return findings


def settle(contact: ServerContact, restarts: int = 0) -> None:
    """Let a diagnosis that is under way come to its end, and be told."""
    wait_for(lambda: not contact._diagnosis._under_way.locked(), "the diagnosis")
    contact.update(supernode_runs=False, restarts=restarts)


def test_online_and_offline_are_said_once(hospital: HospitalFile, found: list[Finding]) -> None:
    said: list[str] = []
    found.append(failed("server port", "refused", "wait"))
    contact = ServerContact(hospital, said.append)
    contact.update(supernode_runs=True, restarts=0)
    assert (contact.online, contact.age, said) == (False, float("inf"), [])
    contact.file.touch()
    for _ in range(2):
        contact.update(supernode_runs=True, restarts=0)
    assert (contact.online, said) == (True, ["online at localhost:8443"])
    for restarts in (1, 2, 2):
        contact.update(supernode_runs=False, restarts=restarts)
        settle(contact, restarts)
    assert said[1:] == ["offline: the server does not hear of us", "refused: wait"]
    assert (contact.online, contact.problem) == (False, "refused: wait")
    contact.update(supernode_runs=True, restarts=2)
    assert (contact.online, contact.problem) == (True, None)


def test_a_contact_that_is_too_old_is_none(hospital: HospitalFile) -> None:
    contact = ServerContact(hospital, print)
    contact.file.touch()
    assert contact.is_fresh
    moment = time.time() - 3 * hospital.heartbeat_seconds
    os.utime(contact.file, (moment, moment))
    assert not contact.is_fresh


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
    hospital: HospitalFile, found: list[Finding], contact_seconds_ago: int | None, findings: Any, works: bool
) -> None:
    found.extend(findings)
    if contact_seconds_ago is not None:
        contact = hospital.state / "contact"
        contact.touch()
        moment = time.time() - contact_seconds_ago
        os.utime(contact, (moment, moment))
    follower = ServerContact(hospital, print)
    assert follower.supernode_works()  # nothing is known as yet
    settle(follower)
    assert follower.supernode_works() is works


def test_a_refused_key_is_first_waited_for_and_then_explained(
    hospital: HospitalFile, found: list[Finding], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    found.append(passed("node key", "known"))
    contact = ServerContact(hospital, said.append)
    line = "[code: 2004] Failed to activate SuperNode"
    contact.read_line(line)
    settle(contact)
    monkeypatch.setattr(server_contact, "_AFTER_CRASH_BEATS", 0)
    for _ in range(2):
        contact.read_line(line)
        settle(contact)
    assert "trying again" in said[0]
    assert "another daemon is online with it" in said[1]
    assert len(said) == 2


def test_a_revoked_key_is_named_at_once(hospital: HospitalFile, found: list[Finding]) -> None:
    said: list[str] = []
    found.append(failed("node key", "not known", "ask"))
    contact = ServerContact(hospital, said.append)
    for _ in range(2):
        contact.read_line("[code: 2004] Failed to activate SuperNode")
        settle(contact)
    assert said == ["not known: ask"]


def test_a_diagnosis_that_fails_is_told_and_ends_nothing(
    hospital: HospitalFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(diagnosis, "diagnose_connection", lambda hospital: 1 // 0)
    contact = ServerContact(hospital, said.append)
    contact.update(supernode_runs=False, restarts=1)
    settle(contact, 1)
    assert said == ["the connection to localhost:8443 cannot be diagnosed (ZeroDivisionError)"]
