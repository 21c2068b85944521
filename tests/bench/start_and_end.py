"""What of a short run is not training: rarefed's fixed time, beside that of a plain Flower app of the same rounds.

Fixed is the time from the command to the prompt, less the rounds at their steady pace: the median of all but the first.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

import psutil
from rich.console import Console
from rich.table import Table

from common.system.folders import cache_folder
from common.system.ports import free_port
from simulations.phantom.data_set import phantom_folder

ROUNDS = 4
PLAIN_APP = Path(__file__).with_name("plain_flower")
BIN = Path(sys.executable).parent


def measure(data: Path | None, console: Console) -> None:
    """Run both, rarefed once before to fill its cache, and print their fixed times."""
    data = data or phantom_folder(cache_folder())
    with tempfile.TemporaryDirectory() as folder:
        _run_rarefed(data, Path(folder))
        ours = _run_rarefed(data, Path(folder))
        plain = _run_plain(data, Path(folder))
    table = Table("", "first line", "fixed", "a steady round", "in all", title=f"{ROUNDS} rounds on {data.name}")
    for name, (first, wall, rounds) in (("rarefed-sim run, federated arm, warm cache", ours), ("plain Flower", plain)):
        table.add_row(name, *(f"{value:.1f} s" for value in (first, wall - ROUNDS * rounds, rounds, wall)))
    console.print(table)
    console.print(
        f"fixed time against plain Flower: {(ours[1] - ROUNDS * ours[2]) / (plain[1] - ROUNDS * plain[2]):.2f}"
    )


def _run_rarefed(data: Path, folder: Path) -> tuple[float, float, float]:
    """Return seconds to the first line and to the prompt, and of a steady round."""
    output = folder / "runs"
    command = [BIN / "rarefed-sim", "run", "--fresh", "--data", data, "--output", output]
    command += ["--set", "study.arms=federated", "--set", f"federation.rounds={ROUNDS}"]
    first, wall, _ = _timed(command, dict(os.environ))
    entries = [json.loads(line) for line in (output / "latest" / "rounds.jsonl").read_text().splitlines()]
    return first, wall, median(entry["seconds"] for entry in entries[1:])


def _run_plain(data: Path, folder: Path) -> tuple[float, float, float]:
    """Return the same of Flower's own command with an app that knows nothing of rarefed's shortcuts."""
    app, home = folder / "app", folder / "flower"
    shutil.copytree(PLAIN_APP, app, ignore=shutil.ignore_patterns("__pycache__"))
    home.mkdir()
    environment = os.environ | {
        "FLWR_HOME": str(home),
        "FLWR_LOCAL_SUPERLINK_HTTP_API_PORT": str(free_port()),
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
    }
    simulation = "num-supernodes=4 client-resources-num-cpus=1"
    command = [BIN / "flwr", "run", app, "--stream", "--federation-config", simulation]
    command += ["--run-config", f'data="{data / "manifest.csv"}" rounds={ROUNDS}']
    try:
        first, wall, output = _timed(command, environment)
    finally:
        _end_daemon(home)
    ends = [float(seconds) for seconds in re.findall(r"ROUND \d+ ([\d.]+)", output)]
    if len(ends) != ROUNDS + 1:
        raise SystemExit(f"the plain app did not finish its rounds:\n{output[-2000:]}")
    return first, wall, median(end - begin for begin, end in pairwise(ends[1:]))


def _timed(command: list[str | Path], environment: dict[str, str]) -> tuple[float, float, str]:
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
    return first, time.monotonic() - started, "".join(lines)


def _end_daemon(home: Path) -> None:
    """End the SuperLink that Flower's command leaves running."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("FLWR_HOME") == str(home):
                process.kill()
        except psutil.Error:
            continue
