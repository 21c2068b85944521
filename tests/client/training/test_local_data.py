"""Whom a hospital trains on and whom it scores."""

from pathlib import Path

from client.training.local_data import local_plan, local_site
from common.dataset.records import ImageRecord
from common.plan.training_plan import TrainingPlan
from tests.client.hospital import APP, write_hospital
from tests.federation.data import manifest

RULES = {"apps": [APP], "families": ["efficientnet_lite0"], "least_images": 5, "least_patients": 5}
PLAN = TrainingPlan.from_flat({"model.weights": "none", "data.size": 64, "data.validation_fraction": 0.3})


def parts(folder: Path, data: Path, seed: int, **settings: object) -> tuple[tuple[ImageRecord, ...], ...]:
    hospital = write_hospital(folder, data, rules={**RULES, **settings})
    split = local_site(local_plan(PLAN, hospital), hospital, seed).split
    return split.train, split.validation, split.test


def test_the_few_of_a_class_are_trained_on_and_not_scored(tmp_path: Path) -> None:
    data = manifest(tmp_path / "data")
    few, many = parts(tmp_path / "a", data, 1, suppress_below=0), parts(tmp_path / "b", data, 1, suppress_below=3)
    for part in many[1:]:
        patients = [{record.patient for record in part if record.label == label} for label in (0, 1)]
        assert all(not each or len(each) >= 3 for each in patients)
    assert sum(map(len, few)) == sum(map(len, many)) == 24
    assert len(many[0]) > len(few[0])
    told = [{record.patient for record in part} for part in many]
    assert not told[0] & (told[1] | told[2]) | told[1] & told[2]


def test_a_patient_of_two_classes_stays_on_one_side(tmp_path: Path) -> None:
    data = manifest(tmp_path / "data")
    rows = (data / "manifest.csv").read_text().splitlines()
    patients = [row.replace(f",p{number},", f",p{number // 3},") for number, row in enumerate(rows[1:])]
    (data / "manifest.csv").write_text("\n".join([rows[0], *patients]))
    for seed in range(8):
        train, validation, test = (
            {record.patient for record in part} for part in parts(tmp_path / f"{seed}", data, seed, suppress_below=2)
        )
        assert not train & (validation | test)


def test_no_plan_draws_the_split_anew(tmp_path: Path) -> None:
    hospital = write_hospital(tmp_path / "north", manifest(tmp_path / "data"), rules={**RULES, "suppress_below": 0})
    asked = [{}, {"training.seed": 7}, {"data.fold": 3}, {"data.test_fraction": 0.5}, {"data.validation_fraction": 0.5}]
    plans = [local_plan(PLAN.changed(changes), hospital) for changes in asked]
    assert len({local_site(plan, hospital, 1).split for plan in plans}) == 1
    trained_on = local_plan(PLAN.changed({"data.validation_fraction": 0}), hospital)
    assert local_site(trained_on, hospital, 1).split.test == local_site(plans[0], hospital, 1).split.test
