"""Studies as a person starts them: killed and gone on with, without a leak, over strategies and by Flower's command."""

import csv
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.federation.by_hand import flower_by_hand
from tests.federation.data import manifest
from tests.federation.marks import leaving_nothing, with_mark
from tests.federation.quick import COMMAND, QUICK, settings, start

# A round and an epoch more, so that there is something to interrupt.
LONGER = {"federation__rounds": "3", "study__centralized_epochs": "3"}


def study(folder: Path, *options: str, **changes: str) -> list[str]:
    sets = settings(**(LONGER | changes))
    return [COMMAND, "study", "--data", str(folder / "data"), "--output", str(folder / "runs"), *options, *sets]


def finish(command: list[str], folder: Path) -> dict[str, Any]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    summary: dict[str, Any] = json.loads((folder / "runs" / "latest" / "summary.json").read_text())
    return summary


def without_times(value: Any) -> Any:
    """Drop what may differ between two runs of one plan: the clock's part."""
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in ("created", "wall_s")}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def predictions(run: Path) -> list[list[str]]:
    with (run / "predictions.csv").open() as stream:
        return list(csv.reader(stream))


def interrupt(command: list[str], folder: Path, how: signal.Signals, reached: Callable[[str], bool]) -> str:
    """Start a study, end it at a line that it prints, and return what it had printed."""
    # What ends the processes of a killed launcher does so a moment later.
    with leaving_nothing(folder / "cache", patience=60) as environment:
        process = start(command, folder, environment)
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if reached(line):
                process.send_signal(how)
                break
        process.wait(timeout=60)
    return printed


@pytest.mark.slow
def test_a_study_killed_again_and_again_ends_with_the_numbers_of_an_undisturbed_one(tmp_path: Path) -> None:
    manifest(tmp_path / "data")
    command = study(tmp_path, "--folds", "2", "--arms", "federated,local")
    undisturbed = finish(command, tmp_path)
    whole = (tmp_path / "runs" / "latest").resolve()
    # Within a federation, and after some trainings of either kind.
    interrupt(command, tmp_path, signal.SIGKILL, lambda line: " round 2/3: " in line)
    printed = interrupt(command, tmp_path, signal.SIGINT, lambda line: "federated" in line and " right, " in line)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "going on after round" in printed
    assert "trainings are there already" in done.stdout
    continued = (tmp_path / "runs" / "latest").resolve()
    assert continued != whole
    assert list((tmp_path / "runs").glob("*.unfinished")) == []
    assert predictions(continued) == predictions(whole)
    assert without_times(json.loads((continued / "summary.json").read_text())) == without_times(undisturbed)
    with (continued / "results.csv").open() as stream:
        rows = list(csv.reader(stream))
    assert len(rows) == 1 + 2 * (1 + 2)
    entries = [json.loads(line) for line in (continued / "rounds.jsonl").read_text().splitlines()]
    assert len({(e["unit"], e.get("round"), e.get("progress")) for e in entries}) == len(entries)
    assert [e["round"] for e in entries if e["arm"] == "federated"].count(2) == 2


def shuffled(root: Path, patients: int = 60) -> None:
    """Noise with labels by chance; each patient has two images that only differ by a breath.

    Whoever sees one of them in training knows the label of the others: any leak shows as a high AUC.
    """
    root.mkdir()
    rng = np.random.default_rng(5)
    labels = rng.permutation([number % 2 for number in range(patients)])
    with (root / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "patient", "site"])
        for patient in range(patients):
            face = rng.integers(0, 256, (8, 8, 3)).repeat(9, axis=0).repeat(9, axis=1)
            for number in range(2):
                pixels = (face + rng.normal(0, 4, face.shape)).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(root / f"{patient}-{number}.png")
                site = ("north", "south")[patient // 2 % 2]
                writer.writerow([f"{patient}-{number}.png", ("no", "yes")[labels[patient]], f"p{patient}", site])


# What learns sixty faces by heart: the last layer alone, of images as they are.
BY_HEART = {
    "model__freeze": "all",
    "model__dropout": "0",
    "training__learning_rate": "1e-2",
    "training__label_smoothing": "0",
    "federation__rounds": "10",
    "federation__local_epochs": "2",
    "study__centralized_epochs": "20",
    "study__in_memory": "true",
    "augmentation__views": "1",
    "augmentation__read_scale": "1",
    **{
        f"augmentation__{change}": "0"
        for change in (
            *("rotation", "crop", "horizontal_flip", "vertical_flip"),
            *("contrast", "brightness", "hue", "saturation"),
        )
    },
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "patients", ["patient", pytest.param("none", marks=pytest.mark.exhaustive)], ids=["known", "unknown, a leak"]
)
def test_shuffled_labels_leave_every_arm_at_chance(tmp_path: Path, patients: str) -> None:
    shuffled(tmp_path / "data")
    arms = ("federated", "centralized", "local", "probe")
    summary = finish(study(tmp_path, "--arms", ",".join(arms), data__patient_column=patients, **BY_HEART), tmp_path)
    assert set(summary["arms"]) == set(arms)
    for name, arm in [*summary["arms"].items(), ("local-all", summary["arms"]["local"]["on_all_sites"])]:
        low, high = arm["ci95"]["auc"]
        # Five intervals of 95 %: other labels by chance may well leave 0.5 outside one of them, but these do not.
        # Where one image of a patient tells the label of the other, the same trainings find it.
        assert (low <= 0.5 <= high) == (patients == "patient"), f"{name}: {low:.2f} to {high:.2f}"
        assert arm["total"] == 120


@pytest.mark.slow
def test_a_sweep_trains_what_its_variants_share_once_and_reports_each(tmp_path: Path) -> None:
    manifest(tmp_path / "data")
    command = study(tmp_path, "--folds", "2", "--strategies", "fedavg,fedadam", "--models", "efficientnet_lite0,vgg16")
    summary = finish(command, tmp_path)
    run = tmp_path / "runs" / "latest"
    assert [variant["strategy"] for variant in summary["variants"]] == ["fedavg", "fedadam"]
    assert [entry["family"] for entry in summary["missing"]] == ["vgg16"]
    central = [variant["arms"]["centralized"] for variant in summary["variants"]]
    assert central[0] == central[1]
    federated = [variant["arms"]["federated"]["auc"] for variant in summary["variants"]]
    assert None not in federated
    for variant in summary["variants"][1:]:
        assert (
            json.loads((run / variant["folder"] / "summary.json").read_text())["arms"].keys() == summary["arms"].keys()
        )
    with (run / "results.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 2 * (2 + 1 + 2 + 1)


@pytest.mark.slow
@pytest.mark.exhaustive
def test_flwr_run_with_folds_is_the_same_study(tmp_path: Path) -> None:
    manifest(tmp_path / "data")
    changes = QUICK | {
        **{key.replace("__", "."): value for key, value in LONGER.items()},
        "study.folds": "2",
        "study.arms": '"federated,centralized"',
        "data.path": f'"{tmp_path / "data"}"',
    }
    with flower_by_hand(tmp_path, with_mark()) as flwr_run:
        printed = flwr_run(" ".join(f"{key}={value}" for key, value in changes.items()))
    assert (tmp_path / "runs" / "latest" / "summary.json").is_file(), printed[-3000:]
    by_flower = predictions((tmp_path / "runs" / "latest").resolve())
    finish(study(tmp_path, "--folds", "2", "--arms", "federated,centralized"), tmp_path)
    assert predictions((tmp_path / "runs" / "latest").resolve()) == by_flower
