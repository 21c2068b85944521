"""What `data.denoise=auto` did with a data set is said, and is what was done."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from common.imaging.preprocess import resize_and_denoise
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from simulations.analysis.dataset_record import describe_dataset
from simulations.preflight.reading import describe_reading
from simulations.study.description import describe_study, describe_variant
from simulations.study.variants import Variant, variants_of
from tests.federation.data import LOADERS, folders, manifest

TOLD = "noise filter (data.denoise=auto): "
GREY = "median for all 24 images, which are grey"
COLOURED = "none for all 24 images, which are coloured"


def plan_for(data: Path, denoise: str = "auto", **changes: Scalar) -> TrainingPlan:
    return TrainingPlan.from_flat({"data.path": str(data), "data.denoise": denoise, "study.sites": 2} | changes)


def told_by(data: Path, denoise: str = "auto") -> str:
    """Return the one sentence about the filter, which run, check and report share."""
    variant = Variant(plan_for(data, denoise))
    places = (
        describe_variant(variant),
        describe_reading(variant.consortium),
        describe_dataset(variant.consortium).notes,
    )
    said = [[line for line in place if "filter" in line] for place in places]
    assert said[0] == said[1] == said[2]
    (line,) = said[0] or [""]
    return line.removeprefix(TOLD)


def turn_grey(root: Path, images: int, suffix: str = ".png", **options: int) -> Path:
    for path in sorted(root.rglob("*.png"))[:images]:
        Image.open(path).convert("L").convert("RGB").save(path.with_suffix(suffix), **options)
        if suffix != ".png":
            path.unlink()
    return root


@pytest.mark.parametrize(("layout", "said"), [("folders", COLOURED), ("npz", COLOURED), ("dicom", GREY)])
def test_images_of_one_kind(tmp_path: Path, layout: str, said: str) -> None:
    assert told_by(LOADERS[layout](tmp_path / "data")) == said


@pytest.mark.parametrize(
    ("images", "said"),
    [
        (24, GREY),
        (23, "median for 23 grey images, none for 1 coloured one"),
        (10, "median for 10 grey images, none for 14 coloured ones"),
        (1, "median for 1 grey image, none for 23 coloured ones"),
    ],
)
def test_grey_and_coloured_images(tmp_path: Path, images: int, said: str) -> None:
    data = turn_grey(folders(tmp_path / "data"), images)
    for _ in ("decoded", "remembered"):
        assert told_by(data) == said


def grey(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return images[..., 0]


def one_channel(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return images[..., :1]


def some_equal_channels(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    images[:5] = images[:5, ..., :1]
    return images


@pytest.mark.parametrize(
    ("make", "said"),
    [(grey, GREY), (one_channel, GREY), (some_equal_channels, "median for 5 grey images, none for 19 coloured ones")],
)
def test_arrays(tmp_path: Path, make: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], said: str) -> None:
    images = np.random.default_rng(0).integers(0, 255, (24, 9, 9, 3), dtype=np.uint8)
    np.savez(tmp_path / "data.npz", images=make(images), labels=np.arange(24) % 2)
    assert told_by(tmp_path / "data.npz") == said


@pytest.mark.parametrize("denoise", ["none", "median", "bilateral", "nlm"])
def test_what_the_plan_itself_says_is_not_repeated(tmp_path: Path, denoise: str) -> None:
    assert told_by(folders(tmp_path / "data"), denoise) == ""


@pytest.mark.parametrize("quality", [40, 90])
@pytest.mark.parametrize("size", [32, 80, 200])
def test_what_is_said_is_what_is_done(tmp_path: Path, size: int, quality: int) -> None:
    """With grey images that became coloured JPEGs, and at any side."""
    data = turn_grey(folders(tmp_path / "data"), 12, ".jpg", quality=quality)
    records = Variant(plan_for(data)).consortium.dataset.records
    assert len([record for record in records if record.grey]) == 12
    for record in records:
        pixels = record.source.pixels(record.sha256)
        done, median, none = (
            resize_and_denoise(pixels, plan_for(data, denoise, **{"data.size": size}).data)
            for denoise in ("auto", "median", "none")
        )
        assert not np.array_equal(median, none)
        assert np.array_equal(done, median if record.grey else none)


def test_recipes_that_ask_for_it_say_so_once(tmp_path: Path) -> None:
    recipes = "kind: data.denoise=auto; long: federation.rounds=3; both: data.denoise=auto federation.rounds=3"
    data = manifest(tmp_path / "data")
    swept: dict[str, Scalar] = {"study.recipes": recipes, "study.strategies": "fedavg,fedprox", "study.folds": 2}
    variants, _ = variants_of(plan_for(data, "median", **swept))
    assert [line for line in describe_study(variants, {}) if "filter" in line] == [f"kind, both: {TOLD}{COLOURED}"]
    variants, _ = variants_of(plan_for(data, "auto", **swept))
    assert [line for line in describe_study(variants, {}) if "filter" in line] == [TOLD + COLOURED]
