"""The daemon's lock and the file in which it says how it is."""

from pathlib import Path

import pytest

from client.daemon.status import daemon_runs, only_daemon, read_status, write_status
from common.errors import RunError


def test_one_daemon_per_state_folder(tmp_path: Path) -> None:
    assert not daemon_runs(tmp_path)
    with only_daemon(tmp_path):
        assert daemon_runs(tmp_path)
        with pytest.raises(RunError, match="another daemon uses"), only_daemon(tmp_path):
            pass
    assert not daemon_runs(tmp_path)


def test_the_status_comes_back(tmp_path: Path) -> None:
    assert read_status(tmp_path) == {}
    write_status(tmp_path, {"online": True})
    assert read_status(tmp_path) == {"online": True}
    (tmp_path / "daemon.json").write_text("{")
    with pytest.raises(RunError, match=r"daemon\.json cannot be read"):
        read_status(tmp_path)


def test_a_status_that_cannot_be_written_ends_nothing(tmp_path: Path) -> None:
    write_status(tmp_path / "gone", {"online": True})
    assert not (tmp_path / "gone").exists()
