"""The SuperNode's process leaves the time of its last contact, and depends on no disk for it."""

import os
from pathlib import Path
from typing import Any

import pytest

from client.node import _noting


def answered(self: Any, request: str) -> str:
    return f"answer to {request}"


def test_a_contact_leaves_its_time(tmp_path: Path) -> None:
    contact = tmp_path / "contact"
    contact.touch()
    os.utime(contact, (0, 0))
    assert _noting(answered, contact)(None, "heartbeat") == "answer to heartbeat"
    assert contact.stat().st_mtime > 0


def test_a_disk_that_takes_nothing_does_not_make_the_hospital_offline(tmp_path: Path) -> None:
    assert _noting(answered, tmp_path / "gone" / "contact")(None, "heartbeat") == "answer to heartbeat"


def test_a_call_that_failed_is_no_contact(tmp_path: Path) -> None:
    def refused(self: Any, request: str) -> str:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        _noting(refused, tmp_path / "contact")(None, "heartbeat")
    assert not (tmp_path / "contact").exists()
