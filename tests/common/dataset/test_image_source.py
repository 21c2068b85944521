"""Pixels of a file, and of no other that took its name."""

from pathlib import Path

import numpy as np
import pytest

from common.dataset.image_source import ArraySource, FileSource
from common.imaging.errors import UnreadableImageError
from tests.common.dataset.written_data import picture


def test_a_file_that_changed_since_it_was_verified_is_refused(tmp_path: Path) -> None:
    source = FileSource(picture(tmp_path / "a.png", 1), "a.png")
    digest = source.verify().sha256
    assert (source.pixels(digest) == source.pixels()).all()
    picture(tmp_path / "a.png", 2)
    with pytest.raises(UnreadableImageError, match=r"a.png: has changed since the data set was read"):
        source.pixels(digest)
    assert source.pixels().shape[2] == 3


@pytest.mark.parametrize(("shape", "grey"), [((9, 7), True), ((9, 7, 1), True), ((9, 7, 3), False)])
def test_an_array_with_one_channel_is_grey(shape: tuple[int, ...], grey: bool) -> None:
    image = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    image.flags.writeable = False
    assert ArraySource(image).verify().grey is grey


def test_an_array_with_three_equal_channels_is_grey() -> None:
    assert ArraySource(np.full((9, 7, 3), 80, np.uint8)).verify().grey
