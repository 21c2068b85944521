"""The commands that are measured: rarefed's own, and Flower's with an app that knows nothing of rarefed's shortcuts."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from common.system.ports import free_port

PLAIN_APP = Path(__file__).with_name("plain_flower")
BIN = Path(sys.executable).parent


class Timed(NamedTuple):
    """What a command printed, with the seconds to its first line and to its end."""

    first: float
    wall: float
    output: str


def run_rarefed(arguments: list[str | Path], environment: dict[str, str] | None = None) -> Timed:
    """Run `rarefed-sim run`, which goes on from no earlier run."""
    return _timed([BIN / "rarefed-sim", "run", "--fresh", *arguments], os.environ | (environment or {}))


def run_plain_flower(run_config: str, folder: Path) -> Timed:
    """Run the plain app with four hospitals, in a folder that has no such app yet."""
    app, home = folder / "app", folder / "flower"
    shutil.copytree(PLAIN_APP, app, ignore=shutil.ignore_patterns("__pycache__"))
    home.mkdir()
    environment = os.environ | {
        "FLWR_HOME": str(home),
        "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(free_port()),
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    simulation = "num-supernodes=4 client-resources-num-cpus=1"
    command = [BIN / "flwr", "run", app, "--stream", "--federation-config", simulation, "--run-config", run_config]
    try:
        return _timed(command, environment)
    finally:
        _end_daemon(home)


def _timed(command: list[str | Path], environment: dict[str, str]) -> Timed:
    started = time.monotonic()
    first, lines = 0.0, []
    with subprocess.Popen(
        command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            first = first or time.monotonic() - started
            lines.append(line)
    if process.returncode:
        raise SystemExit("".join(lines[-20:]))
    return Timed(first, time.monotonic() - started, "".join(lines))


def _end_daemon(home: Path) -> None:
    """End the SuperLink that Flower's command leaves running."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("FLWR_HOME") == str(home):
                process.kill()
        except psutil.Error:
            continue
