"""Federations within one process: `tests/federation/test_simulate.py` proves that messages give the same weights."""

from pathlib import Path
from typing import Any

import pytest

from common.errors import InputError
from common.models.tail_layout import tail_digest
from common.plan.training_plan import TrainingPlan
from simulations.client_app import app
from simulations.sites.consortium import load_consortium
from simulations.study.federated import federate_in_memory
from tests.federation.data import manifest
from tests.federation.in_process import federate
from tests.federation.test_strategies import TWO_ROUNDS, strategy


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(manifest(tmp_path_factory.mktemp("data") / "manifest"))


@pytest.mark.parametrize("name", ["fedavg", "fedbn"])
def test_a_federation_in_memory_ends_with_the_same_weights(data: str, tmp_path: Path, name: str) -> None:
    plan = TrainingPlan.from_flat(TWO_ROUNDS | strategy(name) | {"data.path": data})
    outcome = federate_in_memory(plan, app)
    assert outcome.weights_digest == tail_digest(federate(plan, tmp_path).tail)
    assert len(outcome.probabilities) == len(load_consortium(plan).pooled("test"))
    assert [point.progress for point in outcome.learning_curve] == [0, 0.5, 1]


def test_replies_are_lost_in_memory_too(data: str) -> None:
    changes: dict[str, Any] = {"data.path": data, "study.dropout": 0.5, "federation.rounds": 6}
    outcome = federate_in_memory(TrainingPlan.from_flat(TWO_ROUNDS | changes), app)
    assert outcome.federated_evaluation is not None
    assert 0 < len(outcome.federated_evaluation.left_out) < 12


def test_it_is_for_a_cross_validation() -> None:
    with pytest.raises(InputError, match="in_memory is for a cross-validation"):
        TrainingPlan.from_flat({"study.in_memory": True})
    assert TrainingPlan.from_flat({"study.in_memory": True, "study.folds": 5}).study.in_memory
