"""Small data sets on disk, and what is said of a wrong one."""

from pathlib import Path

import pytest
from PIL import Image

from common.dataset.loading import load_dataset
from common.dataset.records import Dataset
from common.dataset.settings import DatasetSettings
from common.errors import InputError
from common.imaging.limits import ImageLimits


def picture(path: Path, shade: int, size: int = 8) -> Path:
    """Write a small picture; equal shades have equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (size, size), shade).save(path, "PNG")
    return path


def folders(root: Path, **classes: list[str]) -> Path:
    shade = 0
    for label, names in classes.items():
        for name in names:
            shade += 1
            picture(root / label / name, shade)
    return root


def table(root: Path, text: str, name: str = "manifest.csv", encoding: str = "utf-8") -> Path:
    for shade, image in enumerate(("a.png", "b.png", "c.png", "d.png")):
        picture(root / "pix" / image, shade)
    (root / name).write_bytes(text.encode(encoding))
    return root


def failure(path: Path, settings: DatasetSettings = DatasetSettings(), limits: ImageLimits = ImageLimits()) -> str:  # noqa: B008 - both frozen
    with pytest.raises(InputError) as caught:
        load_dataset(path, settings, limits)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


def labels(dataset: Dataset) -> dict[str, str]:
    return {record.name: dataset.classes[record.label] for record in dataset.records}
