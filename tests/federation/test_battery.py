"""Every family over every loader, and what must hold of any federation, in a real Flower simulation."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from client.training.rounds import train_round
from common.models.classifier import build_model
from common.models.tail_layout import TailLayout, tail_digest
from common.plan.families import FAMILIES
from common.plan.groups import STRATEGIES
from common.plan.training_plan import TrainingPlan
from common.system.offline_environment import OFFLINE_ENVIRONMENT
from simulations.sites.consortium import load_consortium
from tests.federation.data import LOADERS, folders, manifest
from tests.places import ROOT

SMALL = {
    "model.weights": "none",
    "data.size": 80,
    "data.denoise": "none",
    "augmentation.views": 2,
    "federation.rounds": 1,
    "federation.local_epochs": 1,
    "study.sites": 2,
    "training.precision": "float32",
}
TWO_ROUNDS = SMALL | {"federation.rounds": 2, "federation.select": "last", "training.learning_rate": 1e-3}


def strategy(name: str) -> dict[str, Any]:
    needs: dict[str, dict[str, Any]] = {
        "fedbn": {"model.batch_norm": "train"},
        "multikrum": {"federation.malicious_sites": 1},
    }
    return {"federation.strategy": name} | needs.get(name, {})


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    base = tmp_path_factory.mktemp("battery")
    data = {name: str(write(base / name)) for name, write in LOADERS.items()}
    tasks: list[dict[str, Any]] = [
        {"name": f"{family}/{loader}", "changes": SMALL | {"model.family": family, "data.path": path}}
        for family in FAMILIES
        for loader, path in data.items()
    ]
    natural = TWO_ROUNDS | {"data.path": data["manifest"], "study.sites": 0}
    tasks += [
        {"name": "first", "changes": natural},
        {"name": "again, other order and nodes", "changes": natural, "order": [1, 0]},
        *({"name": name, "changes": natural | strategy(name)} for name in STRATEGIES),
        {"name": "other seed", "changes": natural | {"training.seed": 2}},
        {"name": "no such sites", "changes": natural, "order": [7, 8]},
        {
            "name": "a site loses its images",
            "changes": SMALL | {"data.path": str(folders(base / "lost")), "augmentation.views": 0},
            "lost_site": 1,
        },
        {
            "name": "too few sites",
            "changes": SMALL
            | {"data.path": str(folders(base / "few")), "augmentation.views": 0, "federation.min_sites": 2},
            "lost_site": 1,
        },
    ]
    (base / "tasks.json").write_text(json.dumps(tasks))
    neutral = base / "neutral"
    neutral.mkdir()
    environment = os.environ | OFFLINE_ENVIRONMENT | {"PYTHONPATH": str(ROOT), "RAREFED_CACHE": str(base / "cache")}
    program = [sys.executable, "-m", "tests.federation.battery", str(base / "tasks.json"), str(base / "answers.json")]
    done = subprocess.run(program, cwd=neutral, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads((base / "answers.json").read_text())
    return found


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_round_of_every_family_over_every_loader(answers: dict[str, Any], family: str, loader: str) -> None:
    answer = answers[f"{family}/{loader}"]
    assert "error" not in answer
    assert answer["failures"] == {}
    assert answer["rounds"] == 1
    assert len(answer["sites"]) == 2
    assert all(count > 0 for count in answer["images"].values())
    assert all(0 < norm < 1e3 for norm in answer["norms"].values())
    assert sum(answer["tested"].values()) > 0


def test_sites_answer_in_any_order_with_the_same_weights(answers: dict[str, Any]) -> None:
    assert answers["first"]["digest"] == answers["again, other order and nodes"]["digest"]
    assert answers["first"]["digest"] != answers["other seed"]["digest"]


def test_every_strategy_makes_a_model_of_its_own(answers: dict[str, Any]) -> None:
    digests = {name: answers[name]["digest"] for name in STRATEGIES}
    assert digests.pop("fedavg") == answers["first"]["digest"]
    # Of two hospitals the median and the trimmed mean are both the plain mean, and Multi-Krum leaves one, as Krum does.
    assert digests.pop("fedmedian") == digests.pop("fedtrimmedavg")
    assert digests.pop("multikrum") == digests["krum"]
    assert len(set(digests.values())) == len(digests)


@pytest.mark.parametrize("name", ["fedavg", "fedbn"])
def test_flower_adds_nothing_to_the_arithmetic(
    answers: dict[str, Any], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The federation's weights are those of a plain loop in one process with a cold cache, bit for bit."""
    monkeypatch.setenv("RAREFED_CACHE", str(tmp_path / "cache"))
    path = manifest(tmp_path / "manifest")
    plan = TrainingPlan.from_flat(TWO_ROUNDS | {"data.path": str(path), "study.sites": 0} | strategy(name))
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
    assert tail_digest(tail) == answers[name]["digest"]


def test_a_federation_without_a_single_answer_fails(answers: dict[str, Any]) -> None:
    assert "did not introduce themselves" in answers["no such sites"]["error"]


def test_a_site_that_cannot_train_is_left_out_by_name(answers: dict[str, Any]) -> None:
    answer = answers["a site loses its images"]
    assert list(answer["failures"]) == ["site-2"]
    assert list(answer["images"]) == ["site-1"]


def test_too_few_usable_replies_end_the_run_with_the_reason(answers: dict[str, Any]) -> None:
    error = answers["too few sites"]["error"]
    assert error.startswith("round 1: 1 of 2 sites gave a usable reply, federation.min_sites is 2 (site-2: ")
