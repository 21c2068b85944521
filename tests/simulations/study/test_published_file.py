"""The protocols of papers: each is read with data of its layout, and a file that is none is refused in one line."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from simulations.sites.consortium import SimulatedConsortium, load_consortium
from simulations.study.published_file import Protocol, read_published_file
from simulations.study.variants import plan_of_fold
from tests.federation.in_process import federate
from tests.places import ROOT

HEADER = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK,target,center,fold,fold2"
PUBLISHED = ROOT / "simulations" / "published"
TINY = {
    "model.weights": "none",
    "data.size": 32,
    "augmentation.views": 2,
    "augmentation.test_views": 0,
    "federation.rounds": 1,
    "federation.local_epochs": 1,
}


def picture(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def darkcovidnet(folder: Path) -> None:
    """Write what the file's commands make of the collection: patients by number, and COVID images by day."""
    names = {
        "Covid-19": [f"covid-{number}-day{day}" for number in range(5) for day in (6, 7)],
        "No_findings": [f"{number:08}_{image:03}" for number in range(5) for image in (0, 1)],
        "Pneumonia": [f"{number + 90:08}_000" for number in range(10)],
    }
    rows = [f'"{label}/{name}.png",{label}' for label, those in names.items() for name in those]
    for number, row in enumerate(rows):
        picture(folder / row.split('"')[1], number)
    (folder / "three.csv").write_text("\n".join(["path,label", *rows]))
    (folder / "two.csv").write_text("\n".join(["path,label", *(row for row in rows if "Pneumonia" not in row)]))


def breastmnist(folder: Path) -> None:
    parts = {"train": 12, "val": 4, "test": 6}
    random = np.random.default_rng(0)
    arrays = {f"{part}_images": random.integers(0, 255, (n, 28, 28), dtype=np.uint8) for part, n in parts.items()}
    arrays |= {f"{part}_labels": (np.arange(n) % 2).astype(np.uint8)[:, None] for part, n in parts.items()}
    folder.mkdir()
    np.savez(folder / "breastmnist.npz", **arrays)


def fed_isic2019(folder: Path) -> None:
    """Write FLamby's table: one-hot columns, target, center, and two columns that are called fold."""
    folder.mkdir()
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(
            ["image", "MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK", "target", "center", "fold", "fold2"]
        )
        for number in range(6 * 8 * 3):
            center, target, part = number // 24, number % 8, "test" if number % 24 >= 16 else "train"
            name = f"ISIC_{number:07}" + ("_downsampled" if center == 4 else "")
            picture(folder / f"{name}.jpg", number)
            one_hot = [float(target == column) for column in range(9)]
            writer.writerow([name, *one_hot, target, center, part, f"{part}_{center}"])


LAYOUTS = {"darkcovidnet": darkcovidnet, "breastmnist": breastmnist, "fed-isic2019": fed_isic2019}


def protocol(name: str, folder: Path) -> Protocol:
    LAYOUTS[name](folder / "images")
    return read_published_file(PUBLISHED / f"{name}.toml", folder / "images", TINY)


def dealt(plan: TrainingPlan) -> SimulatedConsortium:
    return load_consortium(plan_of_fold(plan, 0, 0))


def test_every_protocol_has_a_layout_here_and_says_what_differs() -> None:
    assert {path.stem for path in PUBLISHED.iterdir()} == set(LAYOUTS)


def test_darkcovidnet_keeps_patients_on_one_side(tmp_path: Path) -> None:
    plans = protocol("darkcovidnet", tmp_path).plans
    two, three = dealt(plans["two"]), dealt(plans["three"])
    assert two.dataset.classes == ("No_findings", "Covid-19")
    assert three.dataset.classes == ("Covid-19", "No_findings", "Pneumonia")
    assert {record.patient for record in two.dataset.records} == {
        *(f"covid-{number}" for number in range(5)),
        *(f"{number:08}" for number in range(5)),
    }
    assert (plans["two"].study.folds, len(two.sites), plans["two"].study.arm_names) == (5, 1, ("centralized",))


def test_breastmnist_is_tested_on_its_official_split(tmp_path: Path) -> None:
    read = protocol("breastmnist", tmp_path)
    found = dealt(read.plans["pooled"])
    assert found.dataset.classes == ("1", "0")
    assert [len(found.pooled(part)) for part in ("train", "validation", "test")] == [12, 4, 6]
    assert {(result.metric, result.value) for result in read.results} == {("auc", 0.891), ("accuracy", 0.833)}


def test_fed_isic2019_has_eight_classes_at_six_centres(tmp_path: Path) -> None:
    plans = protocol("fed-isic2019", tmp_path).plans
    found = dealt(plans["fedadam"])
    assert found.dataset.classes == tuple("01234567")
    assert [site.name for site in found.sites] == list("012345")
    assert found.dataset.split_source == "column 'fold'"
    assert [len(site.split.test) for site in found.sites] == [8] * 6
    assert (plans["fedavg"].federation.strategy, plans["fedadam"].federation.strategy) == ("fedavg", "fedadam")
    result = federate(plans["fedadam"], tmp_path / "layers")
    assert np.isfinite(result.tail).all()


FILE = """
paper = "A paper"
differs = ["All."]

[plan]
federation.rounds = 3

[trainings.one]
study.arms = "federated"

[[results]]
training = "one"
arm = "federated"
metric = "auc"
method = "Theirs"
value = 0.9
"""


def test_the_user_has_the_last_word(tmp_path: Path) -> None:
    (tmp_path / "paper.toml").write_text(FILE)
    read = read_published_file(tmp_path / "paper.toml", tmp_path, {"federation.rounds": 5})
    plan = read.plans["one"]
    assert (plan.federation.rounds, plan.study.name, plan.data.path) == (5, "paper-one", str(tmp_path))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("[plan]", "[plans]", "plans: is none of a protocol's keys"),
        ('paper = "A paper"', "", "paper: is missing"),
        ("value = 0.9", "value = 90", "results number 1: value: must be at most 1"),
        ('"auc"', '"kappa"', "results number 1: metric: "),
        ('training = "one"', 'training = "two"', "there is no training 'two', only one"),
        ('arm = "federated"', 'arm = "centralized"', "training one has no arm 'centralized', only federated"),
        ("federation.rounds = 3", "federation.round = 3", "training one: .*did you mean 'federation.rounds'"),
        ("federation.rounds = 3", 'study.name = "x"', "study.name cannot stand in a protocol"),
    ],
)
def test_a_file_that_is_no_protocol(tmp_path: Path, before: str, after: str, message: str) -> None:
    (tmp_path / "paper.toml").write_text(FILE.replace(before, after))
    with pytest.raises(InputError, match=rf"^\S*paper\.toml: .*{message}"):
        read_published_file(tmp_path / "paper.toml", tmp_path, {})


def test_images_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"breastmnist\.npz is not there: the comments in .*breastmnist\.toml say how"):
        read_published_file(PUBLISHED / "breastmnist.toml", tmp_path, {})
