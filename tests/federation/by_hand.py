"""Flower's own command as a person types it, with a background server that ends with the test."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from common.system.ports import free_port
from tests.places import ROOT


@contextlib.contextmanager
def flower_by_hand(folder: Path, environment: dict[str, str]) -> Iterator[Callable[[str], str]]:
    """Hand out a function that runs `flwr run` with a run config in `folder` and returns what it printed.

    `environment` must set RAREFED_TEST, by which the processes to end are known.
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
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("RAREFED_TEST") == environment["RAREFED_TEST"]:
                    process.terminate()
        time.sleep(3)
