"""A preview computes for real what would leave, and leaves nothing behind."""

from pathlib import Path

import pytest

from client.rules.hospital_file import HospitalFile
from client.runner.preview import preview
from common.plan.training_plan import TrainingPlan
from common.training.workbench import workbench
from tests.client.hospital import APP, write_hospital
from tests.federation.data import manifest

RULES = {"apps": [APP], "families": ["efficientnet_lite0"], "least_images": 5, "suppress_below": 0}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return manifest(tmp_path_factory.mktemp("data") / "tiny")


PLAN = TrainingPlan.from_flat(
    {
        "model.weights": "none",
        "model.batch_norm": "train",
        "data.size": 64,
        "data.classes": "healthy,sick",
        "augmentation.views": 2,
        "federation.strategy": "fedbn",
        "federation.rounds": 3,
        "federation.local_epochs": 1,
    }
)


def test_every_answer_is_shown_and_nothing_is_left_behind(data: Path, tmp_path: Path) -> None:
    hospital = write_hospital(tmp_path / "north", data)
    told = preview(hospital, PLAN)
    assert [(one.kind, one.refused) for one in told] == [("query", None), ("train", None), ("evaluate", None)]
    assert told[1].told["update"]["values"] == workbench(PLAN, 2).layout.size
    assert [path.name for path in hospital.state.iterdir()] == ["split.salt"]


def test_what_the_plan_left_to_the_images_is_said_here_alone(data: Path, tmp_path: Path) -> None:
    hospital = write_hospital(tmp_path / "north", data)
    told = preview(hospital, PLAN.changed({"data.denoise": "auto"}))
    chosen = "noise filter (data.denoise=auto): none for all 24 images, which are coloured"
    assert [one.details for one in told] == ["", chosen, ""]
    assert "noise filter" not in str([one.told for one in told])
    assert {one.details for one in preview(hospital, PLAN.changed({"data.denoise": "median"}))} == {""}


def refusing(folder: Path, data: Path, **rules: object) -> HospitalFile:
    return write_hospital(folder, data, rules={**RULES, **rules})


def test_a_rule_that_refuses_is_named(data: Path, tmp_path: Path) -> None:
    told = preview(refusing(tmp_path, data, rounds=2), PLAN)
    assert {one.refused for one in told} == {"refused by rule rounds"}
    assert told[0].details == f"rules.rounds of {tmp_path / 'hospital.yaml'}"


def test_a_failure_keeps_its_details_here(tmp_path: Path) -> None:
    told = preview(refusing(tmp_path, tmp_path / "gone"), PLAN)
    assert {one.refused for one in told} == {"failed: data"}
    assert "gone" in told[0].details


def test_what_the_rules_withhold_is_listed(data: Path, tmp_path: Path) -> None:
    _, trained, tested = preview(refusing(tmp_path, data, share=[]), PLAN)
    assert "train-loss" in trained.withheld
    assert "score-histogram" in tested.withheld
    assert not {"train-loss", "score-loss"} & trained.told.keys()
