"""The studies of `rarefed-sim robustness`: plans that hold for every family, and which earlier runs still count."""

from importlib.metadata import version
from pathlib import Path

import pytest

from common.errors import InputError
from common.models.pretrained_weights import find_weights
from common.plan.families import FAMILIES
from common.plan.training_plan import TrainingPlan
from common.summary.summary import DesignRecord, Summary
from simulations.analysis.dataset_record import describe_dataset
from simulations.analysis.earlier_result import still_holds
from simulations.analysis.robustness import robustness_plans
from simulations.study.variants import variants_of
from tests.federation.data import manifest


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_can_be_measured_with_a_tail_that_is_more_than_the_head(name: str) -> None:
    stages = FAMILIES[name].stage_names
    for plan in robustness_plans({"model.family": name}):
        assert plan.model.family == name
        frozen = stages.index(plan.model.freeze)
        assert stages.index(FAMILIES[name].early) <= frozen < len(stages) - 1


def test_the_default_family_keeps_the_tail_of_the_published_tables() -> None:
    assert {plan.model.freeze for plan in robustness_plans({})} == {"block5"}


def test_what_the_user_freezes_is_frozen() -> None:
    plans = robustness_plans({"model.family": "resnet50", "model.freeze": "layer1"})
    assert {plan.model.freeze for plan in plans} == {"layer1"}


def test_an_unknown_family_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"resnet5.*resnet50"):
        robustness_plans({"model.family": "resnet5"})


def test_a_finished_run_of_other_images_or_another_version_counts_no_more(tmp_path: Path) -> None:
    plan = TrainingPlan.from_flat({"data.path": str(manifest(tmp_path / "tiny")), "study.folds": 2})
    variant = variants_of(plan)[0][0]
    weights = find_weights(FAMILIES[plan.model.family])
    assert weights is not None
    summary = Summary(
        rarefed=version("rarefed"),
        created="",
        name="tiny",
        dataset=describe_dataset(variant.consortium),
        study=DesignRecord(folds=2, repeats=1, tested=24),
        weights_sha256=weights.sha256,
    )
    assert still_holds(summary, plan)
    assert not still_holds(summary.model_copy(update={"rarefed": "0.0.1"}), plan)
    assert not still_holds(summary.model_copy(update={"weights_sha256": "0"}), plan)
    other = summary.dataset.model_copy(update={"digest": "0"})
    assert not still_holds(summary.model_copy(update={"dataset": other}), plan)
