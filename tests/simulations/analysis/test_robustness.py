"""The studies of `rarefed-sim robustness`: plans that hold for every family."""

import pytest

from common.errors import InputError
from common.plan.families import FAMILIES
from simulations.analysis.robustness import robustness_plans


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
