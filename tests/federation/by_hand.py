"""Flower's own command as a person types it, with a background server that ends with the test."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from common.system.ports import free_port
from tests.federation.marks import marked
from tests.places import ROOT


@contextlib.contextmanager
def flower_by_hand(folder: Path, environment: dict[str, str]) -> Iterator[Callable[[str], str]]:
    """Hand out a function that runs `flwr run` with a run config in `folder` and returns what it printed.

    `environment` must be marked, so that the processes to end are known.
    """
    by_hand = {
        **environment,
        "FLWR_HOME": str(folder / "home"),
        "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(free_port()),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}",
    }

    def run(config: str) -> str:
        command = ["flwr", "run", str(ROOT), "--stream", "--run-config", config]
        done = subprocess.run(command, cwd=folder, env=by_hand, capture_output=True, text=True, timeout=300)
        return done.stdout

    try:
        yield run
    finally:
        left = marked(environment)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        psutil.wait_procs(left, timeout=30)
