"""Augmented views depend on seed, image and number alone."""

import hashlib
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import common
from common.imaging.augmentation import Augmentation
from common.imaging.preprocess import shrink
from common.plan.groups import AugmentationPlan
from tests.common.imaging.drawn_scene import scene

STRENGTHS = ["rotation", "contrast", "brightness", "horizontal_flip", "vertical_flip", "crop", "hue", "saturation"]


STILL = dict.fromkeys(STRENGTHS, 0)

# With crops cut from as many pixels as the network sees, and from more.
READ_SIDE = pytest.mark.parametrize("side", [64, 150])


def picture(side: int) -> NDArray[np.uint8]:
    """Return a coloured picture with details of one pixel."""
    return np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)


def test_a_view_depends_on_seed_image_and_number_alone() -> None:
    image = scene()
    first = Augmentation(AugmentationPlan(), 64)
    expected = first.apply(image, "digest", 3)
    other = Augmentation(AugmentationPlan(), 64)
    for digest, view in (("else", 3), ("digest", 0), ("digest", 1)):
        assert not np.array_equal(other.apply(image, digest, view), expected)
    assert np.array_equal(other.apply(image, "digest", 3), expected)
    assert not np.array_equal(Augmentation(AugmentationPlan(seed=2), 64).apply(image, "digest", 3), expected)
    program = (
        "from tests.common.imaging.test_augmentation import *\n"
        "view = Augmentation(AugmentationPlan(), 64).apply(scene(), 'digest', 3)\n"
        "print(hashlib.sha256(view.tobytes()).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(expected.tobytes()).hexdigest()


def test_flips_go_the_way_they_are_called() -> None:
    image = scene()
    image[:20] //= 2
    for name, flipped in (("horizontal_flip", image[:, ::-1]), ("vertical_flip", image[::-1])):
        always = Augmentation(AugmentationPlan(**(STILL | {name: 1.0})), 64)
        assert np.array_equal(always.apply(image, "digest", 0), flipped)


def test_augmentation_without_strength_changes_nothing() -> None:
    image = scene()
    still = Augmentation(AugmentationPlan(**STILL), 64)
    assert np.array_equal(still.apply(image, "digest", 1), image)


@READ_SIDE
@pytest.mark.parametrize("name", ["crop", "rotation"])
def test_a_share_of_the_views_stays_as_sharp_as_the_image(name: str, side: int) -> None:
    strength = {"crop": 0.5, "rotation": 30}[name]
    some = Augmentation(AugmentationPlan(**(STILL | {name: strength}), share=0.5, read_scale=side / 64), 64)
    image = picture(side)
    same = [np.array_equal(some.apply(image, "digest", view), shrink(image, 64)) for view in range(40)]
    assert 8 <= sum(same) <= 32


@READ_SIDE
@pytest.mark.parametrize("name", [*STILL, "blur", "noise"])
def test_each_strength_does_something(name: str, side: int) -> None:
    strength = {"rotation": 30, "hue": 30}.get(name, 0.9)
    coloured = picture(side)
    alone = Augmentation(AugmentationPlan(**(STILL | {name: strength}), share=1, read_scale=side / 64), 64)
    views = [alone.apply(coloured, "digest", view) for view in range(6)]
    assert any(not np.array_equal(view, shrink(coloured, 64)) for view in views)
    assert all(view.shape == (64, 64, 3) and view.dtype == np.uint8 for view in views)


def test_crops_from_as_many_pixels_as_the_network_sees_are_todays() -> None:
    image = picture(64)
    usual, told = (Augmentation(AugmentationPlan(read_scale=scale), 64) for scale in (1, 1.004))
    for view in range(20):
        assert np.array_equal(usual.apply(image, "digest", view), told.apply(image, "digest", view))


def test_crops_from_more_pixels_hold_details_that_the_shrunk_image_has_lost() -> None:
    stripes = np.repeat((np.indices((128, 128))[1][:, :, None] + 1) // 2 % 2 * 255, 3, axis=2).astype(np.uint8)
    assert np.ptp(shrink(stripes, 64)) < 5
    plan = {**STILL, "crop": 0.7, "share": 1.0}
    crops = Augmentation(AugmentationPlan(**plan, read_scale=2), 64)
    assert min(float(crops.apply(stripes, "digest", view).std()) for view in range(20)) > 20


def test_a_crop_that_is_shrunk_averages_instead_of_picking_pixels() -> None:
    board = np.repeat(np.indices((512, 512)).sum(axis=0)[:, :, None] % 2 * 255, 3, axis=2).astype(np.uint8)
    crops = Augmentation(AugmentationPlan(**(STILL | {"crop": 0.3}), share=1, read_scale=8), 64)
    assert max(float(crops.apply(board, "digest", view).std()) for view in range(20)) < 20


def drawn(plan: AugmentationPlan, views: int) -> list[dict[str, dict[str, Any]]]:
    """Return what changed each view, and by how much, as albumentations tells it."""
    augmentation = Augmentation(plan, 64)
    augmentation._compose.save_applied_params = True
    image = picture(plan.read_side(64))
    return [dict(augmentation._change(image, "digest", view)["applied_transforms"]) for view in range(views)]


@READ_SIDE
def test_changes_come_in_all_combinations_alike(side: int) -> None:
    strengths = STILL | {"crop": 0.3, "rotation": 30, "horizontal_flip": 0.5, "vertical_flip": 0.5}
    combinations = Counter(
        tuple(name in view for name in ("Rotate", "HorizontalFlip", "VerticalFlip"))
        for view in drawn(AugmentationPlan(**strengths, share=0.5, read_scale=side / 64), 800)
    )
    assert len(combinations) == 8
    assert 60 <= min(combinations.values()) <= max(combinations.values()) <= 140, "100 each, five deviations off"


@READ_SIDE
def test_a_view_is_cropped_and_rotated_or_stays_sharp(side: int) -> None:
    plan = AugmentationPlan(**(STILL | {"crop": 0.3, "rotation": 30}), share=0.5, read_scale=side / 64)
    assert {("RandomResizedCrop" in view, "Rotate" in view) for view in drawn(plan, 60)} == {(True,) * 2, (False,) * 2}


def parameters(side: int, views: int) -> NDArray[np.float64]:
    """Return by how much all strengths change each view, shape (views, 10); places as shares of the image's side."""
    plan = AugmentationPlan(
        **{"crop": 0.5, "rotation": 30, "brightness": 0.3, "contrast": 0.3, "hue": 20, "saturation": 0.3},
        **{"horizontal_flip": 0.5, "vertical_flip": 0.5},
        share=1,
        read_scale=side / 64,
    )
    rows = []
    for view in drawn(plan, views):
        left, top, right, bottom = np.array(view["RandomResizedCrop"]["crop_coords"]) / side
        rotation = view["Rotate"]["matrix"]
        light, colour = view["RandomBrightnessContrast"], view["HueSaturationValue"]
        rows.append(
            (
                *(left + right, top + bottom, (right - left) * (bottom - top)),
                *(np.arctan2(rotation[0, 1], rotation[0, 0]), "HorizontalFlip" in view, "VerticalFlip" in view),
                *(light["alpha"], light["beta"], colour["hue_shift"], colour["sat_shift"]),
            )
        )
    return np.array(rows, dtype=np.float64)


@READ_SIDE
def test_no_two_parameters_are_drawn_alike(side: int) -> None:
    rows = parameters(side, 500)
    correlations = np.corrcoef(rows.T) - np.eye(rows.shape[1])
    assert np.abs(correlations).max() < 0.2, "chance gives 0.045 as a deviation"


def test_a_view_is_changed_alike_whatever_its_crop_is_cut_from() -> None:
    """But for the few where whole pixels decide whether a crop fits into the image, and another one is drawn."""
    few, many = parameters(64, 60), parameters(150, 60)
    alike = (few[:, 3:] == many[:, 3:]).all(axis=1)
    assert alike.mean() > 0.9
    assert np.abs(few[alike, :3] - many[alike, :3]).max() < 4 / 64, "corners are whole pixels"


def test_one_file_alone_touches_albumentations() -> None:
    root = Path(common.__file__).parents[1]
    files = (path for wing in ("client", "common", "server", "simulations") for path in (root / wing).rglob("*.py"))
    importing = [
        path for path in files if re.search(r"^\s*(import|from) albumentations", path.read_text(), re.MULTILINE)
    ]
    assert [path.name for path in importing] == ["augmentation.py"]


def test_importing_asks_no_network_for_a_newer_version() -> None:
    program = (
        "import os, socket\n"
        "os.environ.pop('NO_ALBUMENTATIONS_UPDATE', None)\n"
        "asked = []\n"
        "def refuse(*wanted, **_):\n"
        "    asked.append(wanted[0])\n"
        "    raise OSError\n"
        "socket.getaddrinfo = refuse\n"
        "import common.imaging.augmentation\n"
        "print(asked)"
    )
    direct = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run([sys.executable, "-c", program], env=direct, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
