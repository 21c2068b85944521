import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from common.processes import confinement, root
from common.processes.confinement import Confinement, confine
from common.processes.fork_server import ForkServer
from common.processes.root import give, leave_root, other_user
from tests.waiting import lives, wait_for

pytestmark = pytest.mark.skipif(other_user() is None, reason="only root, with its powers, may become another user")


def leave(pipe: Connection) -> None:
    pipe.send((leave_root(other_user(), []), os.getresuid(), os.getresgid(), os.getgroups(), os.getpid()))
    time.sleep(600)


def fail_to_leave(pipe: Connection) -> None:
    def refuse(*_: int) -> None:
        raise PermissionError(1, "not here")

    root.os.setresgid = refuse
    pipe.send((leave_root(other_user(), []), os.geteuid(), root._held()))


def confine_among_devices(devices: Path, pipe: Connection) -> None:
    confinement._DEVICES = devices
    wrong = confine(Confinement(devices.parent / "state", (), (), other_user()), [pipe.fileno()])
    pipe.send((wrong, os.getgroups()))


@pytest.fixture
def forks() -> Iterator[ForkServer]:
    server = ForkServer(leave)
    yield server
    server.close()


def test_a_process_of_another_user_still_ends_with_its_guard(forks: ForkServer) -> None:
    process, user = forks.fork(), other_user()
    wrong, users, groups, others, pid = process.pipe.recv()
    assert (wrong, users, groups, others) == (None, (user,) * 3, (user,) * 3, [])
    worker = psutil.Process(pid)
    guard = worker.parent()
    assert guard is not None
    os.kill(guard.pid, signal.SIGKILL)
    wait_for(lambda: not lives(worker), "the process to end", 20)
    process.stop()


def test_whoever_asked_can_end_a_process_of_another_user(forks: ForkServer) -> None:
    process = forks.fork()
    pid = process.pipe.recv()[-1]
    process.stop()
    wait_for(lambda: not psutil.pid_exists(pid), "the process to end", 20)


def test_a_process_that_cannot_become_another_user_loses_its_powers_all_the_same() -> None:
    with closing(ForkServer(fail_to_leave)) as forks:
        process = forks.fork()
        wrong, user, held = process.pipe.recv()
    assert (wrong, user, held & ~root._KEPT) == ("root's powers: not here", 0, 0)


def test_a_confined_process_stays_in_the_groups_of_its_devices(tmp_path: Path) -> None:
    """After it is confined, nobody can list them; and one that leads nowhere is no hindrance."""
    devices = tmp_path / "dev"
    for number, name in enumerate(("null", "nvidia0", "nvidiactl", "dri/renderD128")):
        device = devices / name
        device.parent.mkdir(parents=True, exist_ok=True)
        device.touch()
        os.chown(device, 0, 4321 + number)
    (devices / "dri" / "card0").symlink_to(tmp_path / "nowhere")
    with closing(ForkServer(partial(confine_among_devices, devices))) as forks:
        process = forks.fork()
        _, groups = process.pipe.recv()
    assert groups == [4321, 4322, 4323, 4324]


def test_what_is_given_away_is_what_lies_in_the_folder(tmp_path: Path) -> None:
    folder, beside, user = tmp_path / "cache", tmp_path / "beside", other_user()
    assert user is not None
    (folder / "trunk").mkdir(parents=True)
    (folder / "trunk" / "image").write_bytes(b"1")
    beside.mkdir()
    (beside / "shadow").write_bytes(b"1")
    (folder / "link").symlink_to(beside)
    (folder / "second name").hardlink_to(beside / "shadow")
    give(folder, user)
    own = [folder, folder / "trunk", folder / "trunk" / "image", folder / "link"]
    assert {path.lstat().st_uid for path in own if not path.is_symlink()} == {user}
    assert {path.stat().st_uid for path in (beside, beside / "shadow")} == {0}


def test_what_came_into_the_folder_since_is_given_away_too(tmp_path: Path) -> None:
    folder, elsewhere, user = tmp_path / "layers", tmp_path / "large disk", other_user()
    assert user is not None
    (elsewhere / "federation").mkdir(parents=True)
    folder.symlink_to(elsewhere)
    give(folder, user)
    (folder / "federation" / "round-0001.safetensors").write_bytes(b"1")
    give(folder, user)
    assert {path.stat().st_uid for path in (elsewhere, *elsewhere.rglob("*"))} == {user}


@pytest.mark.parametrize("power", [0, 2, 5, 6, 7], ids=["chown", "read", "kill", "set group", "set user"])
def test_a_root_without_its_powers_stays(monkeypatch: pytest.MonkeyPatch, power: int) -> None:
    held = root._held()
    monkeypatch.setattr(root, "_held", lambda: held & ~(1 << power))
    assert other_user() is None


def test_a_root_whose_namespace_has_no_other_user_stays(tmp_path: Path) -> None:
    mapping = tmp_path / "uid_map"
    mapping.write_text("         0       1000          1\n")
    assert not root._is_known(mapping)
    mapping.write_text("         0       1000          1\n         1     100000      65536\n")
    assert root._is_known(mapping)
