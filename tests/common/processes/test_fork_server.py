import os
import signal
import sys
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection

import psutil
import pytest

from common.errors import RunError
from common.processes.fork_server import ForkServer
from tests.waiting import lives, wait_for

SECRETS: list[bytes] = []


def work(pipe: Connection) -> None:
    pipe.send((os.getpid(), list(SECRETS)))
    ending = pipe.recv()
    if isinstance(ending, int):
        os._exit(ending)
    time.sleep(600)


@pytest.fixture
def forks() -> Iterator[ForkServer]:
    server = ForkServer(work)
    yield server
    server.close()
    SECRETS.clear()


def test_what_it_forks_knows_nothing_that_came_later(forks: ForkServer) -> None:
    SECRETS.append(b"token")
    process = forks.fork()
    assert process.pipe.recv()[1] == []
    process.stop()


def test_several_live_side_by_side_and_each_tells_how_it_ended(forks: ForkServer) -> None:
    processes = [forks.fork() for _ in range(3)]
    assert len({process.pipe.recv()[0] for process in processes} | {os.getpid(), forks.pid}) == 5
    for status, process in reversed(list(enumerate(processes))):
        process.pipe.send(status)
        with pytest.raises(EOFError):
            process.pipe.recv()
        assert process.exit_code() == status
        process.stop()


def test_a_signal_is_told(forks: ForkServer) -> None:
    process = forks.fork()
    os.kill(process.pipe.recv()[0], signal.SIGUSR1)
    with pytest.raises(EOFError):
        process.pipe.recv()
    assert process.exit_code() == -signal.SIGUSR1
    process.stop()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no process is told of its parent's death")
@pytest.mark.parametrize("victim", ["asker", "guard", "server"])
def test_a_process_outlives_none_of_those_behind_it(forks: ForkServer, victim: str) -> None:
    told, tell = os.pipe()
    asker = os.fork()
    if not asker:
        process = forks.fork()
        pid, _ = process.pipe.recv()
        os.write(tell, str(pid).encode())
        time.sleep(600)
    worker = psutil.Process(int(os.read(told, 100)))
    guard = worker.parent()
    assert guard is not None
    os.kill({"asker": asker, "guard": guard.pid, "server": forks.pid}[victim], signal.SIGKILL)
    wait_for(lambda: not lives(worker), "the process to end", 20)
    if victim != "asker":
        os.kill(asker, signal.SIGKILL)
    os.waitpid(asker, 0)


def test_without_the_server_nothing_is_started(forks: ForkServer) -> None:
    os.kill(forks.pid, signal.SIGKILL)
    wait_for(lambda: not lives(forks.pid), "the server to end", 20)
    with pytest.raises(RunError, match="no process can be started"):
        forks.fork()
