from dataclasses import fields
from pathlib import Path

from pydantic import BaseModel

from client.rules.hospital_file import DataSection
from common.dataset.settings import DEFAULT_SETTINGS, DatasetSettings
from common.plan.groups import DataPlan

NAMES = {field.name for field in fields(DatasetSettings)} - {"classes"}


def test_every_setting_is_a_key_of_the_plan_with_the_same_default() -> None:
    assert set(DataPlan.model_fields) >= NAMES
    assert DatasetSettings.of(DataPlan(), ()) == DEFAULT_SETTINGS


def test_a_hospital_sets_all_but_the_site_and_by_the_same_defaults() -> None:
    assert set(DataSection.model_fields) & NAMES == NAMES - {"site_column"}
    assert DatasetSettings.of(DataSection(path=Path("images")), ()) == DEFAULT_SETTINGS


def test_what_a_section_says_goes_before_the_defaults() -> None:
    class Section(BaseModel):
        positive: str = "melanoma"
        unrelated: int = 1

    assert DatasetSettings.of(Section(), ("naevus", "melanoma")) == DatasetSettings(
        positive="melanoma", classes=("naevus", "melanoma")
    )
