"""What every test gets: a cache of this run's own, one thread, since many processes share two cores, and its turn."""

import atexit
import fcntl
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from flwr.supercore.task_identity import TaskIdentity

from common.system.folders import cache_folder
from common.system.proxies import proxies_of
from simulations.phantom.data_set import phantom_folder

# Workers of pytest-xdist inherit it.
if "PYTEST_XDIST_WORKER" not in os.environ:
    os.environ["RAREFED_CACHE"] = tempfile.mkdtemp(prefix="rarefed-test-cache-")
    atexit.register(shutil.rmtree, os.environ["RAREFED_CACHE"], ignore_errors=True)
torch.set_num_threads(1)
# A proxy of this machine is for the web, and tests call this machine only; those of proxies name their own.
for proxy in proxies_of(os.environ):
    del os.environ[proxy.variable]
# A shell has what it starts in the background ignore Ctrl-C, which processes of tests would inherit.
signal.signal(signal.SIGINT, signal.default_int_handler)


def number_process() -> None:
    """Give this process Flower's numbers of a run; without them no message can be made."""
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1


# Some modules of tests make messages when they are imported.
number_process()


@pytest.fixture(autouse=True)
def _number() -> Iterator[None]:
    """Undo what a test of a task does to this process."""
    yield
    number_process()


@pytest.fixture(scope="session")
def phantom() -> Path:
    """The whole phantom, one for all workers, since drawing it takes ten seconds and more."""
    with (cache_folder() / "phantom.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return phantom_folder(cache_folder())


# Files whose tests start many processes, those that take longest first. A file's tests run in one process, so none of
# these should be what the others have to wait for at the end.
LONGEST = (
    "faults/test_kills.py",
    "faults/test_disks.py",
    "production/test_federation.py",
    "faults/test_malformed.py",
    "federation/test_study.py",
    "production/",
    "faults/",
    "server/processes/test_start.py",
    "federation/test_simulate.py",
    "federation/",
    "simulations/phantom/",
    "simulations/report/",
    "simulations/analysis/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the files that take longest first; the others stay in their order."""
    folder = Path(__file__).parent

    def turn(item: pytest.Item) -> int:
        name = item.path.relative_to(folder).as_posix()
        return next((number for number, start in enumerate(LONGEST) if name.startswith(start)), len(LONGEST))

    items.sort(key=turn)
