"""What counts as grey: three equal channels, and three that a JPEG moved apart a little."""

import numpy as np
import pytest
from numpy.typing import NDArray

from common.imaging.colour import has_colour
from common.imaging.decode import decode_image
from tests.common.imaging.drawn_scene import scene
from tests.common.imaging.encoded_images import dicom, encoded


def tinted() -> NDArray[np.uint8]:
    image = scene()
    image[..., 2] //= 2
    return image


@pytest.mark.parametrize("quality", [30, 60, 95])
def test_a_grey_picture_that_was_saved_as_a_coloured_jpeg_is_grey(quality: int) -> None:
    uneven = scene() + np.random.default_rng(0).integers(0, 3, (64, 64, 3), dtype=np.uint8)
    assert not has_colour(decode_image(encoded(uneven, "JPEG", quality=quality), "x.jpg"))
    assert has_colour(decode_image(encoded(tinted(), "JPEG", quality=quality), "x.jpg"))


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_monochrome_dicom_is_grey(photometric: str, dtype: type) -> None:
    stored = scene()[..., 0].astype(dtype)
    assert not has_colour(decode_image(dicom(stored, PhotometricInterpretation=photometric), "x.dcm"))


def test_a_coloured_dicom_is_not() -> None:
    assert has_colour(decode_image(dicom(tinted()), "x.dcm"))


@pytest.mark.parametrize("shape", [(1, 1), (40, 30), (300, 1), (1, 70_000), (130, 1000)])
def test_the_threshold_is_exact_whatever_the_shape(shape: tuple[int, int]) -> None:
    """A mean difference of 2 is grey, and one more level in one pixel is colour."""
    image = np.full((*shape, 3), 100, np.uint8)
    image[..., 1:] += 4
    assert not has_colour(image)
    image[-1, -1, 0] -= 1
    assert has_colour(image)


def test_a_part_that_is_coloured_counts_by_its_size() -> None:
    image = np.full((1000, 200, 3), 100, np.uint8)
    image[-20:, :, 0] = 220
    assert not has_colour(image)
    image[-80:, :, 0] = 220
    assert has_colour(image)
