"""The rules as a new hospital gets them never stop a federation that does what it says."""

from pathlib import Path
from typing import Any

import pytest

from common.plan.groups import STRATEGIES
from common.plan.training_plan import TrainingPlan
from server.rounds.observer import RequireAllHospitals
from tests.attacks.test_server import Victim
from tests.client.exposure.ruled_federation import federate
from tests.federation.data import SITES, manifest
from tests.federation.test_strategies import strategy

ROUNDS = 100
PLAN: dict[str, Any] = {
    "model.freeze": "block6",
    "data.size": 64,
    "data.classes": "healthy,sick",
    "data.validation_fraction": 0.15,
    "augmentation.views": 2,
    "federation.rounds": ROUNDS,
    "federation.local_epochs": 1,
    "federation.select": "best",
}
# Those that go farthest from the initial tail, and the usual one; the others only where there is time.
FAR = ("fedavg", "fedavgm", "fedadam")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in FAR else pytest.mark.exhaustive) for name in STRATEGIES]
)
def test_a_hundred_rounds_of_a_strategy_pass_all_rules(name: str, tmp_path: Path) -> None:
    plan = TrainingPlan.from_flat(PLAN | strategy(name))
    data = manifest(tmp_path / "data")
    hospitals = {site: Victim(tmp_path / site, data) for site in SITES}
    result = federate(plan, hospitals, RequireAllHospitals(), "a federation")
    assert len(result.rounds) == ROUNDS
    assert all(not report.failures for report in result.rounds)
