"""What the sizes of the images are compared with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from client.preflight.findings import Status
from client.preflight.survey import Survey, survey_images
from common.dataset.settings import DatasetSettings
from common.plan.groups import DataPlan, Scalar
from common.plan.training_plan import TrainingPlan
from simulations.preflight.resolution import check_resolution


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    """Four images of 100 x 120 pixels."""
    for number in range(4):
        folder = tmp_path / ("healthy", "sick")[number % 2]
        folder.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 255, (100, 120, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return survey_images(tmp_path, DatasetSettings.of(DataPlan(), ()))


def plan(size: int, read_side: int, **flat: Scalar) -> TrainingPlan:
    return TrainingPlan.from_flat({"data.size": size, "augmentation.read_scale": read_side / size} | flat)


@pytest.mark.parametrize(
    ("size", "read_side", "status"), [(64, 64, Status.PASSED), (64, 100, Status.PASSED), (500, 500, Status.WARN)]
)
def test_images_are_compared_with_what_the_network_sees(
    survey: Survey, size: int, read_side: int, status: Status
) -> None:
    finding = check_resolution(survey, plan(size, read_side))
    assert finding.status == status
    assert f"sides of 100 to 120 pixels, of which the network sees {size} x {size}" in finding.found
    assert ("in crops from 100 x 100" in finding.found) == (read_side > size)


def test_crops_from_more_pixels_than_any_image_has(survey: Survey) -> None:
    finding = check_resolution(survey, plan(120, 140))
    assert finding.status == Status.WARN
    assert "no image has more pixels to cut from" in finding.found
    assert finding.mend == "set augmentation.read_scale = 1"
    assert check_resolution(survey, plan(110, 140)).status == Status.PASSED


def test_families_on_their_own_sides_are_compared_with_those(survey: Survey) -> None:
    own: dict[str, Scalar] = {
        "study.own_size": True,
        "study.models": "inception_v3,efficientnet_lite0,efficientnet_lite2",
    }
    finding = check_resolution(survey, plan(64, 70, **own))
    assert "the network sees 224 x 224 to 299 x 299, in crops from 245 x 245 to 327 x 327" in finding.found
    small = replace(survey, pictures=[replace(one, width=70) for one in survey.pictures])
    assert check_resolution(small, plan(64, 64)).status == Status.PASSED
    finding = check_resolution(small, plan(64, 64, **own))
    assert finding.status == Status.WARN
    assert "4 images enlarged more than 4 times" in finding.found
    assert "lower data.size (with study.own_size=false) if all" in finding.mend
