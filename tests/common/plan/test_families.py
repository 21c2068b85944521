from typing import Any

import pytest

from common.plan.families import FAMILIES
from common.plan.training_plan import TrainingPlan


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_family_can_be_frozen_by_stage(family: Any) -> None:
    for policy in ("none", "early", "all", *family.stage_names):
        plan = TrainingPlan.from_flat({"model.family": family.name, "model.freeze": policy})
        assert plan.model.freeze == policy
    assert family.early in family.stage_names
