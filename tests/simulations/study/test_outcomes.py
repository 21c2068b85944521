"""What an interrupted study finds again, and what it must not."""

import csv
from pathlib import Path

import pytest

from common.plan.training_plan import TrainingPlan
from common.summary.arm import CurvePointRecord
from simulations.study.outcomes import Outcome, OutcomeStore
from simulations.study.trainings import Unit, units_of
from simulations.study.variants import variants_of
from tests.federation.data import manifest


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[Unit]:
    data = manifest(tmp_path_factory.mktemp("data") / "tiny")
    plan = TrainingPlan.from_flat({"data.path": str(data), "study.folds": 2, "study.arms": "federated,local"})
    return list(units_of(variants_of(plan)[0][0]))


def outcome(unit: Unit, sick: float = 0.75) -> Outcome:
    return Outcome(
        probabilities=[[1 - sick, sick] for _ in unit.consortium.pooled("test")],
        learning_curve=[CurvePointRecord(progress=1.0, train_loss=0.5)],
        selected=1.0,
        wall_s=2.5,
        samples_seen=100,
        trained_parameters=10,
        total_parameters=20,
        weights_digest="ab" * 32,
    )


def results(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_what_was_added_is_found_again_and_stands_once_in_the_results(tmp_path: Path, units: list[Unit]) -> None:
    store = OutcomeStore(tmp_path)
    assert store.restore(units) == 0
    store.add(units[0], outcome(units[0]))
    store.add(units[1], outcome(units[1], sick=0.25))
    assert [row["arm"] for row in results(tmp_path)] == ["federated", "local"]
    again = OutcomeStore(tmp_path)
    assert again.restore(units) == 2
    assert again[units[0]] == outcome(units[0])
    assert units[2] not in again
    again.add(units[2], outcome(units[2]))
    rows = results(tmp_path)
    assert [(row["arm"], row["site"], row["fold"]) for row in rows] == [
        ("federated", "", "0"),
        ("local", "north", "0"),
        ("local", "south", "0"),
    ]
    assert {row["total"] for row in rows} == {"12"}
    assert {row["correct"] for row in rows} == {"6"}
    assert rows[0]["strategy"] == "fedavg"
    assert rows[1]["strategy"] == ""


@pytest.mark.parametrize("torn", [b"", b'{"probabilities": [[0.5', b"{}", b"\xff\xfe"])
def test_a_torn_file_is_trained_again(tmp_path: Path, units: list[Unit], torn: bytes) -> None:
    store = OutcomeStore(tmp_path)
    store.add(units[0], outcome(units[0]))
    store.add(units[1], outcome(units[1]))
    (tmp_path / "units" / f"{units[1].key}.json").write_bytes(torn)
    again = OutcomeStore(tmp_path)
    assert again.restore(units) == 1
    assert again.damaged == [tmp_path / "units" / f"{units[1].key}.json"]


def test_outcomes_of_another_plan_are_not_taken(tmp_path: Path, units: list[Unit]) -> None:
    store = OutcomeStore(tmp_path)
    store.add(units[0], outcome(units[0]))
    other = Unit("federated", units[0].plan.changed({"training.learning_rate": 1e-3}), 0, 0)
    assert OutcomeStore(tmp_path).restore([other]) == 0
