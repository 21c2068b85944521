"""Resizing, noise filters and normalisation."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from common.imaging.colour import has_colour
from common.imaging.preprocess import normalise, resize_and_denoise, shrink
from common.plan.groups import DataPlan
from tests.common.imaging.drawn_scene import scene

METHODS = ["none", "median", "bilateral", "nlm"]


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


@pytest.mark.parametrize("method", METHODS)
def test_a_noise_filter_acts_where_the_image_is_read(method: str) -> None:
    """On an image that is read at a larger side a filter works on that one, and what is shrunk is what it left."""
    noisy = np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8)
    data = DataPlan(size=64, denoise=method)
    read = resize_and_denoise(noisy, data, 90)
    assert np.array_equal(read, noisy) == (method == "none")
    assert np.array_equal(read, resize_and_denoise(noisy, DataPlan(size=90, denoise=method)))
    late = resize_and_denoise(shrink(noisy, 64), data)
    assert np.array_equal(shrink(read, 64), late) == (method == "none")
    assert shrink(late, 64) is late


def test_auto_filters_grey_images_alone() -> None:
    """Also a grey image whose channels a JPEG has moved apart a little."""
    rng = np.random.default_rng(0)
    grey = np.repeat(rng.integers(0, 250, (64, 64, 1), dtype=np.uint8), 3, axis=2)
    coloured = grey.copy()
    coloured[..., 0] //= 2
    auto = DataPlan(size=64, denoise="auto")
    for image in (grey, grey + rng.integers(0, 3, grey.shape, dtype=np.uint8)):
        assert np.array_equal(resize_and_denoise(image, auto), resize_and_denoise(image, DataPlan(size=64)))
    assert np.array_equal(resize_and_denoise(coloured, auto), coloured)


def test_auto_looks_at_the_image_before_it_is_resized() -> None:
    """Colours that shrinking averages to grey are colours all the same, at whatever side they are read."""
    board = np.indices((256, 256)).sum(axis=0) % 2
    dots = np.stack([100 + 60 * board, np.full_like(board, 130), 160 - 60 * board], axis=2).astype(np.uint8)
    noise = np.random.default_rng(0).integers(-20, 20, (256, 256, 1))
    image = (dots + noise).astype(np.uint8)
    assert has_colour(image)
    for side in (32, 64, 256):
        plain, auto, median = (
            resize_and_denoise(image, DataPlan(size=side, denoise=method)) for method in ("none", "auto", "median")
        )
        assert np.array_equal(auto, plain)
        assert not np.array_equal(auto, median)
    assert not has_colour(resize_and_denoise(image, DataPlan(size=64, denoise="none")))


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
