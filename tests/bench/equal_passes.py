"""`python -m tests.bench.equal_passes FOLDER...`: rarefed's default recipe beside FedAvg over a whole network.

Both train four rounds of two epochs from the same pretrained weights, on images that the same hospitals hold, and are
tested on the same patients; rarefed starts with an empty cache and holds patients back for validation if its recipe
says so, the plain app trains on them. Each set is drawn anew with three seeds.
"""

import csv
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from common.dataset.records import ImageRecord
from common.plan.training_plan import TrainingPlan
from common.statistics.bootstrap import Bootstrap
from common.summary.comparison import DifferenceRecord
from simulations.analysis.arm_comparison import compare_predictions
from simulations.analysis.predictions import Predictions
from simulations.analysis.predictions_csv import read_predictions
from simulations.analysis.resampling import resample
from simulations.sites.consortium import SimulatedConsortium, load_consortium
from tests.bench.commands import run_plain_flower, run_rarefed

ROUNDS = 4
SEEDS = (1, 2, 3)


class Measured(NamedTuple):
    """Probabilities of the test images in the consortium's order, and the seconds that they took."""

    probabilities: np.ndarray
    seconds: float


def measure(sets: list[Path], console: Console) -> None:
    """Train both on each set and print correct images, AUC and time."""
    table = Table(
        "", "images", "rarefed", "plain", "more images", "more AUC", "time", title=f"{ROUNDS} rounds x 2 epochs"
    )
    for path in sets:
        plans = [
            TrainingPlan.from_flat({"data.path": str(path), "training.seed": seed, "federation.rounds": ROUNDS})
            for seed in SEEDS
        ]
        consortia = [load_consortium(plan) for plan in plans]
        ours, plain = [], []
        for plan, consortium in zip(plans, consortia, strict=True):
            with tempfile.TemporaryDirectory() as folder:
                ours.append(_rarefed(plan, consortium, Path(folder)))
                plain.append(_plain(plan, consortium, Path(folder)))
        row = list(_row(consortia, ours, plain))
        console.print(path.name, *row, sep="; ")
        table.add_row(path.name, *row)
    console.print(table)


def _row(consortia: list[SimulatedConsortium], ours: list[Measured], plain: list[Measured]) -> Iterator[str]:
    one, other = (_predictions(consortia, measured) for measured in (ours, plain))
    bootstrap = Bootstrap.draw(one.patients)
    found = compare_predictions(one, other, bootstrap, ("rarefed", "plain"))
    yield str(len(one.labels))
    for predictions in (one, other):
        auc = resample(predictions, bootstrap).estimate("auc")
        yield f"{int((predictions.predicted[0] == predictions.labels).sum())} ({auc:.3f})"
    yield _difference(found.accuracy, len(one.labels), 1)
    yield _difference(found.auc, 1, 3)
    yield f"{sum(m.seconds for m in ours) / sum(m.seconds for m in plain):.2f} of plain"


def _difference(found: DifferenceRecord | None, scale: float, digits: int) -> str:
    if found is None:
        return "-"
    low, high = found.ci95
    return f"{found.difference * scale:+.{digits}f} ({low * scale:+.{digits}f} to {high * scale:+.{digits}f})"


def _predictions(consortia: list[SimulatedConsortium], measured: list[Measured]) -> Predictions:
    """Return one set of predictions of all seeds' test images; each seed has a model of its own."""
    tests = [(seed, record) for seed, one in zip(SEEDS, consortia, strict=True) for record in one.pooled("test")]
    return Predictions(
        images=np.array([f"{seed}/{record.name}" for seed, record in tests]),
        sites=np.array([site for one in consortia for site in one.site_of_each("test")]),
        patients=np.array([record.patient for _, record in tests]),
        labels=np.array([record.label for _, record in tests], dtype=np.int64),
        repeats=np.zeros(1, dtype=np.int64),
        models=np.array([[seed for seed, _ in tests]], dtype=np.int64),
        probabilities=np.concatenate([one.probabilities for one in measured])[None],
    )


def _rarefed(plan: TrainingPlan, consortium: SimulatedConsortium, folder: Path) -> Measured:
    changes = [f"--set={key}={plan.flat()[key]}" for key in ("training.seed", "federation.rounds")]
    arguments = ["--data", plan.data.path, "--arms", "federated", "--output", folder / "runs", *changes]
    done = run_rarefed(arguments, {"XDG_CACHE_HOME": str(folder / "cache")})
    found = read_predictions((folder / "runs" / "latest").resolve(), consortium.dataset.classes)["federated"]
    of_image = dict(zip(found.images.tolist(), found.probabilities[0], strict=True))
    return Measured(np.array([of_image[record.name] for record in consortium.pooled("test")]), done.wall)


def _plain(plan: TrainingPlan, consortium: SimulatedConsortium, folder: Path) -> Measured:
    held = [(site.name, record) for site in consortium.sites for record in (*site.split.train, *site.split.validation)]
    train = _write(folder / "train", held)
    test = _write(folder / "test", [("", record) for record in consortium.pooled("test")])
    config = f'data="{train}" test="{test}" rounds={ROUNDS} whole=true seed={plan.training.seed}'
    done = run_plain_flower(config, folder)
    lines = [line for line in done.output.splitlines() if "PROBABILITIES" in line]
    if len(lines) != 1:
        raise SystemExit(f"the plain app did not finish:\n{done.output[-2000:]}")
    return Measured(np.array(json.loads(lines[0].partition("PROBABILITIES ")[2])), done.wall)


def _write(folder: Path, images: list[tuple[str, ImageRecord]]) -> Path:
    """Write images as PNG files with a manifest, and return its path."""
    folder.mkdir()
    manifest = folder / "manifest.csv"
    with manifest.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "site", "label"])
        for number, (site, record) in enumerate(images):
            Image.fromarray(record.source.pixels(record.sha256)).save(folder / f"{number}.png")
            writer.writerow([f"{number}.png", site, ("negative", "positive")[record.label]])
    return manifest


if __name__ == "__main__":
    measure([Path(argument).absolute() for argument in sys.argv[1:]], Console(width=130))
