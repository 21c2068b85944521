"""Trainings for which no patients are held back: all images that are not tested are trained on."""

from pathlib import Path

import pytest

from client.preflight.findings import Status
from common.plan.training_plan import TrainingPlan
from server.runs.round_records import federated_evaluation, learning_curve, round_entry
from simulations.preflight.site_checks import check_sites_are_split
from simulations.sites.consortium import load_consortium
from simulations.study.description import describe_variant
from simulations.study.pooled_and_local import train_alone
from simulations.study.variants import Variant
from tests.federation.data import PATIENTS, manifest
from tests.federation.in_process import federate
from tests.federation.test_strategies import SMALL


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> TrainingPlan:
    return TrainingPlan.from_flat(
        SMALL
        | {
            "data.path": str(manifest(tmp_path_factory.mktemp("data") / "manifest")),
            "data.validation_fraction": 0,
            "federation.rounds": 2,
            "study.centralized_epochs": 2,
            "study.sites": 0,
        }
    )


def test_what_is_not_tested_is_trained_on(plan: TrainingPlan) -> None:
    consortium = load_consortium(plan)
    assert not consortium.pooled("validation")
    assert len(consortium.pooled("train")) + len(consortium.pooled("test")) == PATIENTS
    # Which patients are tested does not depend on whether others are held back.
    held_back = load_consortium(plan.changed({"data.validation_fraction": 0.15}))
    assert [record.name for record in held_back.pooled("test")] == [record.name for record in consortium.pooled("test")]
    finding = check_sites_are_split(consortium, plan.data)
    assert finding.status is Status.PASSED
    assert "no patients are held back" in finding.found


def test_a_federation_keeps_its_last_round(plan: TrainingPlan, tmp_path: Path) -> None:
    result = federate(plan, tmp_path)
    assert result.selected_round == 2
    assert sum(site.images for site in result.rounds[0].sites.values()) == len(load_consortium(plan).pooled("train"))
    assert all(point.validation_loss is None for point in learning_curve(result, 2))
    assert round_entry(result.rounds[0], 2)["start"]["validation_loss"] is None
    tested = federated_evaluation(result)
    assert tested is not None
    assert tested.images == len(load_consortium(plan).pooled("test"))


@pytest.mark.parametrize(("arm", "site"), [("centralized", ""), ("local", "north"), ("probe", "")])
def test_the_other_arms_keep_their_last_epoch(plan: TrainingPlan, arm: str, site: str) -> None:
    outcome = train_alone(plan, arm, site)
    assert outcome.selected == 1
    assert all(point.validation_loss is None for point in outcome.learning_curve)
    assert len(outcome.probabilities) == len(load_consortium(plan).pooled("test"))


def test_a_run_says_at_its_start_which_rule_has_nothing_to_compare(plan: TrainingPlan) -> None:
    said = "federation.select = best keeps the last round or epoch"
    best = plan.changed({"federation.select": "best"})
    assert any(line.endswith(said) for line in describe_variant(Variant(best)))
    for other in (plan, best.changed({"data.validation_fraction": 0.15})):
        assert not any("federation.select" in line for line in describe_variant(Variant(other)))


def test_an_average_is_of_the_last_epochs(plan: TrainingPlan) -> None:
    """Of eight epochs, the last two are averaged."""
    eight = plan.changed({"study.centralized_epochs": 8, "data.validation_fraction": 0.15})
    mean = train_alone(eight.changed({"federation.select": "mean"}), "centralized", "")
    last = train_alone(eight.changed({"federation.select": "last"}), "centralized", "")
    assert (mean.averaged_from, mean.selected) == (7 / 8, 1)
    assert (last.averaged_from, last.selected) == (None, 1)
    assert mean.learning_curve == last.learning_curve
    assert mean.weights_digest != last.weights_digest
