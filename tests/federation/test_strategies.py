"""What must hold of the weights of any federation, and of one whose sites fail."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.training.rounds import train_round
from common.errors import RunError
from common.models.classifier import build_model
from common.models.tail_layout import TailLayout, tail_digest
from common.plan.groups import STRATEGIES
from common.plan.training_plan import TrainingPlan
from simulations.sites.consortium import load_consortium
from tests.federation.data import folders, manifest
from tests.federation.in_process import federate

SMALL: dict[str, Any] = {
    "model.weights": "none",
    "data.size": 80,
    "data.denoise": "none",
    "augmentation.views": 2,
    "federation.rounds": 1,
    "federation.local_epochs": 1,
    "study.sites": 2,
    "training.precision": "float32",
}
TWO_ROUNDS: dict[str, Any] = SMALL | {
    "federation.rounds": 2,
    # In its first step of a round fedprox does what fedavg does, and these sites make one step per epoch.
    "federation.local_epochs": 2,
    "federation.select": "last",
    "training.learning_rate": 1e-3,
    "study.sites": 0,
}


def test_a_head_that_is_trained_first_leaves_nobody_out(tmp_path: Path) -> None:
    """The updates of the whole tail, which come after it, are many times larger than the head's alone."""
    changes = {"data.path": str(manifest(tmp_path / "data")), "federation.rounds": 4, "training.head_epochs": 4}
    plan = TrainingPlan.from_flat(TWO_ROUNDS | changes | {"federation.largest_norm": 2})
    result = federate(plan, tmp_path / "layers")
    norms = [max(site.change_norm for site in report.sites.values()) for report in result.rounds]
    assert min(norms[2:]) > 2 * max(norms[:2])
    assert all(not report.failures for report in result.rounds)


def strategy(name: str) -> dict[str, Any]:
    needs: dict[str, dict[str, Any]] = {
        "fedbn": {"model.batch_norm": "train"},
        "multikrum": {"federation.malicious_sites": 1},
    }
    return {"federation.strategy": name} | needs.get(name, {})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A manifest of two sites."""
    return str(manifest(tmp_path_factory.mktemp("data") / "manifest"))


@pytest.fixture(scope="module")
def digest(data: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """Of the weights after two rounds, of a strategy."""
    base = tmp_path_factory.mktemp("layers")

    @functools.cache
    def of(name: str) -> str:
        plan = TrainingPlan.from_flat(TWO_ROUNDS | {"data.path": data} | strategy(name))
        return tail_digest(federate(plan, base / name).tail)

    return of


def test_sites_answer_in_any_order_with_the_same_weights(
    data: str, digest: Callable[[str], str], tmp_path: Path
) -> None:
    plan = TrainingPlan.from_flat(TWO_ROUNDS | {"data.path": data})
    assert tail_digest(federate(plan, tmp_path, order=[1, 0]).tail) == digest("fedavg")
    other_seed = plan.changed({"training.seed": 2})
    assert tail_digest(federate(other_seed, tmp_path).tail) != digest("fedavg")


@pytest.mark.slow
def test_every_strategy_makes_a_model_of_its_own(digest: Callable[[str], str]) -> None:
    distinct = {name: digest(name) for name in STRATEGIES}
    # Of two hospitals the median and the trimmed mean are both the plain mean, and Multi-Krum leaves one, as Krum does.
    assert distinct.pop("fedmedian") == distinct.pop("fedtrimmedavg")
    assert distinct.pop("multikrum") == distinct["krum"]
    assert len(set(distinct.values())) == len(distinct)


@pytest.mark.parametrize("name", ["fedavg", "fedbn"])
def test_messages_add_nothing_to_the_arithmetic(
    digest: Callable[[str], str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The federation's weights are those of a plain loop with a cold cache, bit for bit."""
    expected = digest(name)
    monkeypatch.setenv("RAREFED_CACHE", str(tmp_path / "cache"))
    path = manifest(tmp_path / "manifest")
    plan = TrainingPlan.from_flat(TWO_ROUNDS | {"data.path": str(path)} | strategy(name))
    consortium = load_consortium(plan)
    model = build_model(plan, 2)
    tail = TailLayout.of(model.tail, plan).pack(model.tail)
    own: list[np.ndarray | None] = [None] * len(consortium.sites)
    for number in (1, 2):
        updates = [
            train_round(plan, site, tail, number, layers) for site, layers in zip(consortium.sites, own, strict=True)
        ]
        own = [update.personal for update in updates]
        total = sum(update.images for update in updates)
        mean = np.zeros_like(tail)
        for update in updates:
            mean += (tail + update.change) * (update.images / total)
        tail = mean
    assert tail_digest(tail) == expected


def test_a_federation_without_a_single_answer_fails(data: str, tmp_path: Path) -> None:
    plan = TrainingPlan.from_flat(TWO_ROUNDS | {"data.path": data})
    with pytest.raises(RunError, match="did not introduce themselves"):
        federate(plan, tmp_path, order=[7, 8])


def plan_without_cache(root: Path, **federation: int) -> TrainingPlan:
    """Return a plan whose images are read in every round."""
    changes = {f"federation.{key}": value for key, value in federation.items()}
    return TrainingPlan.from_flat(SMALL | {"data.path": str(folders(root)), "augmentation.views": 0} | changes)


def lose_images(plan: TrainingPlan, site: int) -> None:
    """Take away what a site trains on."""
    for record in load_consortium(plan).sites[site].split.train:
        (Path(plan.data.path) / record.name).unlink(missing_ok=True)


def test_a_site_that_cannot_train_is_left_out_by_name(tmp_path: Path) -> None:
    plan = plan_without_cache(tmp_path / "data")
    (report,) = federate(plan, tmp_path / "layers", before_training=lambda: lose_images(plan, 1)).rounds
    assert list(report.failures) == ["site-2"]
    assert list(report.sites) == ["site-1"]


def test_too_few_usable_replies_end_the_run_with_the_reason(tmp_path: Path) -> None:
    plan = plan_without_cache(tmp_path / "data", min_sites=2, retry_seconds=0)
    with pytest.raises(RunError) as caught:
        federate(plan, tmp_path / "layers", before_training=lambda: lose_images(plan, 1))
    told = "round 1: 1 of 2 sites gave a usable reply, federation.min_sites is 2 (site-2: "
    assert str(caught.value).startswith(told)
