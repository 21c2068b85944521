"""Logs that rotate, and that nobody depends on."""

from pathlib import Path

import pytest

from common.processes import rotating_log
from common.processes.rotating_log import RotatingLog


def test_old_files_stay_beside_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotating_log, "_LOG_BYTES", 100)
    log = RotatingLog(tmp_path / "logs" / "daemon.log")
    for number in range(30):
        log.write(f"line {number}")
    log.close()
    assert len(list((tmp_path / "logs").iterdir())) == 6
    assert (tmp_path / "logs" / "daemon.log").read_text().endswith("line 29\n")


def test_a_full_disk_costs_lines_and_says_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "daemon.log"
    path.symlink_to("/dev/full")
    log = RotatingLog(path)
    log.write("lost")
    log.close()
    assert capfd.readouterr().err == ""


def test_words_of_others_rewrite_no_terminal(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "daemon.log")
    log.write("the server says \x1b]0;owned\x07\x1b[2J")
    log.close()
    assert "\x1b" not in (tmp_path / "daemon.log").read_text()
