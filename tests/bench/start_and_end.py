"""What of a short run is not training: rarefed's fixed time, beside that of a plain Flower app of the same rounds.

Fixed is the time from the command to the prompt, less the rounds at their steady pace: the median of all but the first.
"""

import json
import re
import tempfile
from itertools import pairwise
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from common.system.folders import cache_folder
from simulations.phantom.data_set import phantom_folder
from tests.bench.commands import run_plain_flower, run_rarefed

ROUNDS = 4


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
    done = run_rarefed(
        ["--data", data, "--output", output, "--arms", "federated", "--set", f"federation.rounds={ROUNDS}"]
    )
    entries = [json.loads(line) for line in (output / "latest" / "rounds.jsonl").read_text().splitlines()]
    return done.first, done.wall, median(entry["seconds"] for entry in entries[1:])


def _run_plain(data: Path, folder: Path) -> tuple[float, float, float]:
    """Return the same of the plain app."""
    done = run_plain_flower(f'data="{data / "manifest.csv"}" rounds={ROUNDS}', folder)
    ends = [float(seconds) for seconds in re.findall(r"ROUND \d+ ([\d.]+)", done.output)]
    if len(ends) != ROUNDS + 1:
        raise SystemExit(f"the plain app did not finish its rounds:\n{done.output[-2000:]}")
    return done.first, done.wall, median(end - begin for begin, end in pairwise(ends[1:]))
