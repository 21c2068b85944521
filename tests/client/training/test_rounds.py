from pathlib import Path

import numpy as np
import pytest

from client.training.rounds import evaluate_tail, train_round
from client.training.site import Site
from common.errors import InputError
from common.models.classifier import build_model
from common.models.tail_layout import TailLayout
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from simulations.sites.consortium import load_consortium
from tests.federation.data import manifest

SMALL: dict[str, Scalar] = {
    "model.weights": "none",
    "data.size": 32,
    "data.validation_fraction": 0.15,
    "augmentation.views": 2,
    "federation.rounds": 3,
    "federation.local_epochs": 1,
}


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> TrainingPlan:
    path = manifest(tmp_path_factory.mktemp("data") / "tiny")
    return TrainingPlan.from_flat(SMALL | {"data.path": str(path)})


@pytest.fixture(scope="module")
def site(plan: TrainingPlan) -> Site:
    return load_consortium(plan).sites[0]


@pytest.fixture(scope="module")
def tail(plan: TrainingPlan) -> np.ndarray:
    model = build_model(plan, 2)
    return TailLayout.of(model.tail, plan).pack(model.tail)


def test_an_update_is_the_change_that_training_made(plan: TrainingPlan, site: Site, tail: np.ndarray) -> None:
    before = tail.copy()
    update = train_round(plan, site, tail, 1)
    assert np.array_equal(tail, before)
    assert update.images == len(site.split.train)
    assert update.change.dtype == np.float32
    assert 0 < np.linalg.norm(update.change) < np.linalg.norm(tail)
    assert np.isfinite(update.train_loss)


def test_the_evaluation_is_of_the_incoming_tail(plan: TrainingPlan, site: Site, tail: np.ndarray) -> None:
    update = train_round(plan, site, tail, 1)
    assert update.evaluation.images == len(site.split.validation)
    assert update.evaluation.loss == evaluate_tail(plan, site, tail, "validation").loss
    assert evaluate_tail(plan, site, tail + update.change, "validation").loss != update.evaluation.loss
    assert evaluate_tail(plan, site, tail, "test").images == len(site.split.test)


def test_the_same_round_gives_the_same_bytes(plan: TrainingPlan, site: Site, tail: np.ndarray) -> None:
    first = train_round(plan, site, tail, 2).change
    train_round(plan, site, tail, 3)
    assert train_round(plan, site, tail, 2).change.tobytes() == first.tobytes()
    assert train_round(plan, site, tail, 1).change.tobytes() != first.tobytes()


def test_a_limit_bounds_the_update_and_keeps_its_direction(plan: TrainingPlan, site: Site, tail: np.ndarray) -> None:
    free = train_round(plan, site, tail, 1).change
    limit = float(np.linalg.norm(free)) / 3
    bound = train_round(plan.changed({"privacy.update_clip_norm": limit}), site, tail, 1).change
    assert np.linalg.norm(bound) == pytest.approx(limit, rel=1e-4)
    assert np.allclose(bound * 3, free, atol=1e-6)


def test_an_image_that_vanished_is_named(tmp_path: Path) -> None:
    path = manifest(tmp_path / "tiny")
    plan = TrainingPlan.from_flat(SMALL | {"data.path": str(path), "augmentation.views": 0})
    site = load_consortium(plan).sites[0]
    model = build_model(plan, 2)
    tail = TailLayout.of(model.tail, plan).pack(model.tail)
    (path / site.split.train[0].name).unlink()
    with pytest.raises(InputError, match=site.split.train[0].name):
        train_round(plan, site, tail, 1)
