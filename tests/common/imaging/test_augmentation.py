import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from common.imaging.augmentation import Augmentation
from common.imaging.preprocess import normalise, resize_and_denoise
from common.plan.groups import AugmentationPlan, DataPlan

METHODS = ["none", "median", "bilateral", "nlm"]
STRENGTHS = ["rotation", "contrast", "brightness", "horizontal_flip", "vertical_flip", "crop", "hue", "saturation"]
STILL = dict.fromkeys(STRENGTHS, 0)


def scene(height: int = 64, width: int = 64) -> NDArray[np.uint8]:
    """Return a smooth picture: a gradient with a disc."""
    down, across = np.mgrid[0:height, 0:width]
    grey = 60 + 100 * across / width + 60 * ((down - 30) ** 2 + (across - 30) ** 2 < 150)
    return np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(40, 90), (300, 200), (64, 64), (1, 1)])
def test_every_image_gets_the_plans_size(method: str, shape: tuple[int, int]) -> None:
    flat = np.full((*shape, 3), 77, np.uint8)
    changed = resize_and_denoise(flat, DataPlan(size=64, denoise=method))
    assert changed.shape == (64, 64, 3)
    assert changed.dtype == np.uint8
    assert np.abs(changed.astype(int) - 77).max() <= 1


@pytest.mark.parametrize("method", METHODS[1:])
def test_a_noise_filter_brings_the_picture_closer_to_the_clean_one(method: str) -> None:
    clean = scene()
    rng = np.random.default_rng(0)
    noisy = (clean + rng.normal(0, 6, clean.shape)).clip(0, 255).astype(np.uint8)

    def error(image: NDArray[np.uint8]) -> float:
        return float(np.abs(image.astype(float) - clean).mean())

    filtered = resize_and_denoise(noisy, DataPlan(size=64, denoise=method))
    assert error(filtered) < 0.9 * error(noisy)


def test_shrinking_averages_instead_of_picking_pixels() -> None:
    board = np.indices((128, 128)).sum(axis=0) % 2 * 255
    image = np.repeat(board[:, :, None], 3, axis=2).astype(np.uint8)
    shrunk = resize_and_denoise(image, DataPlan(size=32, denoise="none"))
    assert np.abs(shrunk.astype(int) - 127).max() <= 1


@pytest.mark.parametrize("size", [32, 200])
def test_rows_columns_and_colours_keep_their_places(size: int) -> None:
    image = np.zeros((100, 50, 3), np.uint8)
    image[:50, :, 0] = 255
    image[:, 25:, 2] = 255
    changed = resize_and_denoise(image, DataPlan(size=size))
    quarter = size // 4
    assert changed[quarter, quarter].tolist() == [255, 0, 0]
    assert changed[quarter, -quarter].tolist() == [255, 0, 255]
    assert changed[-quarter, quarter].tolist() == [0, 0, 0]


def test_normalisation_uses_the_given_constants() -> None:
    images = np.stack([scene(), scene()])
    tensor = normalise(images, (0.5, 0.4, 0.3), (0.5, 0.25, 0.2))
    assert tensor.shape == (2, 3, 64, 64)
    assert tensor.dtype == torch.float32
    value = images[1, 5, 9, 2] / 255
    assert tensor[1, 2, 5, 9].item() == pytest.approx((value - 0.3) / 0.2, abs=1e-5)


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


@pytest.mark.parametrize("name", ["crop", "rotation"])
def test_a_share_of_the_views_stays_as_sharp_as_the_image(name: str) -> None:
    strength = {"crop": 0.5, "rotation": 30}[name]
    plan = AugmentationPlan(**(STILL | {name: strength}), share=0.5)
    same = [np.array_equal(Augmentation(plan, 64).apply(scene(), "digest", view), scene()) for view in range(40)]
    assert 8 <= sum(same) <= 32


@pytest.mark.parametrize("name", [*STILL, "blur", "noise"])
def test_each_strength_does_something(name: str) -> None:
    strength = {"rotation": 30, "hue": 30}.get(name, 0.9)
    coloured = scene()
    coloured[:, :, 0] //= 2
    alone = Augmentation(AugmentationPlan(**(STILL | {name: strength}), share=1), 64)
    views = [alone.apply(coloured, "digest", view) for view in range(6)]
    assert any(not np.array_equal(view, coloured) for view in views)
    assert all(view.shape == coloured.shape and view.dtype == np.uint8 for view in views)


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
