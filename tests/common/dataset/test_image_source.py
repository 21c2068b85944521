"""Pixels of a file, and of no other that took its name."""

from pathlib import Path

import pytest

from common.dataset.image_source import FileSource
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
