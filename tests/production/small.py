"""A consortium of small hospitals for tests: tiny images, a plan that trains in seconds."""

import contextlib
import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from common.plan.training_plan import TrainingPlan
from simulations.local_federation.rehearsal import Rehearsal
from tests.federation.data import label, picture
from tests.places import ROOT

INJECT = ROOT / "tests" / "faults" / "inject"

HOSPITALS = ("east", "north", "south")
PATIENTS = 20
CLASSES = "healthy,sick"
PLAN: dict[str, Any] = {
    "data.size": 64,
    "data.classes": CLASSES,
    # So that hospitals score every round, and the server chooses one by it.
    "data.validation_fraction": 0.15,
    "federation.select": "best",
    "augmentation.views": 2,
    "augmentation.test_views": 2,
    "federation.rounds": 2,
    "federation.local_epochs": 1,
    "federation.wait_seconds": 60.0,
    "training.learning_rate": 1e-3,
}
# Images of 32 pixels, and more federations than a hospital takes part in within a month.
RULES = {"least_images": 5, "suppress_below": 0, "federations": 1000, "bounds": {"smallest_size": 32}}


def write_images(folder: Path, number: int) -> Path:
    """Write the images of hospital `number` with a manifest; no image is in two hospitals."""
    (folder / "images").mkdir(parents=True)
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "patient"])
        for each in range(PATIENTS * number, PATIENTS * (number + 1)):
            path = f"images/{each}.png"
            Image.fromarray(picture(each)).save(folder / path)
            writer.writerow([path, ("healthy", "sick")[label(each)], f"p{each}"])
    return folder


def images_of_all(folder: Path, hospitals: Sequence[str] = HOSPITALS) -> dict[str, Path]:
    """Write the images of every hospital; returns their folders by name."""
    return {name: write_images(folder / name, number) for number, name in enumerate(hospitals)}


@contextlib.contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set variables that every process started in the block inherits."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@contextlib.contextmanager
def joined_consortium(
    base: Path,
    hospitals: Sequence[str] = HOSPITALS,
    settings: Mapping[str, Any] | None = None,
    impatient: bool = False,
    **options: Any,
) -> Iterator[Rehearsal]:
    """A running server and hospitals that have joined, with `settings` in their files; no daemon runs yet.

    `impatient` hospitals ask for messages many times in the seconds in which Flower's SuperNode asks once.
    """
    options = {"runs": base / "runs", **options}
    images = images_of_all(base / "images", hospitals)
    rules = dict.fromkeys(images, RULES)
    injected = {"PYTHONPATH": os.pathsep.join([str(INJECT), str(ROOT)])} if impatient else {}
    with environment(**injected), Rehearsal(base / "consortium", images, print, rules=rules, **options) as rehearsal:
        rehearsal.provision()
        for hospital in hospitals:
            rehearsal.join(hospital)
            rehearsal.hospitals[hospital].change(settings or {})
            # A salt that is not secret, so that a simulation can draw the same split.
            seed = TrainingPlan.from_flat(PLAN).training.seed
            (rehearsal.hospitals[hospital].folder / "state" / "split.salt").write_text(f"{seed:x}")
        rehearsal.server.start()
        yield rehearsal


@contextlib.contextmanager
def online_consortium(base: Path, **options: Any) -> Iterator[Rehearsal]:
    """The same with daemons that are online."""
    with joined_consortium(base, **options) as rehearsal:
        for hospital in rehearsal.hospitals:
            rehearsal.hospitals[hospital].start()
        for hospital in rehearsal.hospitals:
            rehearsal.hospitals[hospital].wait_online()
        yield rehearsal
