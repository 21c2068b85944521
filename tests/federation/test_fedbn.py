"""A federation under FedBN: each hospital trains, keeps and is evaluated with normalisation layers of its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Context, Message, RecordDict

from client.training.personal_layers import PersonalLayers
from client.training.rounds import evaluate_tail
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.training.workbench import workbench
from server.rounds.courier import Member
from server.rounds.federation import Federation
from server.rounds.state import FederationResult, FederationState
from simulations.client_app import app
from simulations.sites.consortium import load_consortium
from simulations.study.held_out_predictions import join_shares, predict_share, shares_of_views
from simulations.study.layer_folders import LayerFolderTransport
from simulations.study.pooled_and_local import train_alone
from tests.federation.data import manifest
from tests.server.rounds.hospitals_in_process import InProcessTransport, RecordingObserver


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> TrainingPlan:
    path = manifest(tmp_path_factory.mktemp("data") / "tiny")
    return TrainingPlan.from_flat(
        {
            "model.weights": "none",
            "model.batch_norm": "train",
            "data.path": str(path),
            "data.size": 64,
            "augmentation.views": 2,
            "federation.strategy": "fedbn",
            "federation.rounds": 3,
            "federation.local_epochs": 1,
            "training.learning_rate": 1e-3,
        }
    )


class Node:
    """One that any site's messages can be sent to, in this process."""

    def __init__(self, number: int) -> None:
        self.node = number

    def answer(self, message: Message) -> Message:
        return app(message, Context(1, self.node, {}, RecordDict(), {}))


def federate(plan: TrainingPlan, folder: Path, state: FederationState | None = None) -> tuple[FederationResult, Any]:
    bench = workbench(plan, 2)
    observer = RecordingObserver()
    federation = Federation(
        LayerFolderTransport(InProcessTransport(Node(1), Node(2)), folder),  # type: ignore[arg-type]
        plan,
        classes=2,
        layout=bench.layout,
        trunk_digest=bench.trainer.model.trunk_digest,
        present=lambda: [Member(1, {messages.SITE: 0}), Member(2, {messages.SITE: 1})],
        observer=observer,
        poll_seconds=0,
    )
    return federation.run(state or FederationState(bench.initial_tail, "f1")), observer.states


@pytest.fixture(scope="module")
def done(plan: TrainingPlan, tmp_path_factory: pytest.TempPathFactory) -> tuple[FederationResult, Any, Path]:
    folder = tmp_path_factory.mktemp("layers")
    result, states = federate(plan, folder)
    return result, states, folder


def of_sites(plan: TrainingPlan, folder: Path, federation: str, number: int) -> list[np.ndarray]:
    personal = workbench(plan, 2).personal
    found = [PersonalLayers(folder / f"site-{site}", federation, personal).after(number) for site in (0, 1)]
    return [one for one in found if one is not None]


def test_hospitals_differ_in_their_normalisation_layers_and_in_nothing_else(plan: TrainingPlan, done: Any) -> None:
    result, states, folder = done
    north, south = of_sites(plan, folder, states[0].federation, 3)
    assert not np.array_equal(north, south)
    bench = workbench(plan, 2)
    models = []
    for own in (north, south):
        bench.load(result.tail, own)
        models.append({name: tensor.clone() for name, tensor in bench.trainer.model.state_dict().items()})
    differing = {name for name in models[0] if not torch.equal(models[0][name], models[1][name])}
    assert differing
    assert differing <= {f"tail.{name}" for name in bench.personal.names}
    assert {name.rpartition(".")[2] for name in differing} == {"weight", "bias", "running_mean", "running_var"}


def test_a_hospital_is_scored_with_the_layers_of_the_selected_round(plan: TrainingPlan, done: Any) -> None:
    result, states, folder = done
    consortium = load_consortium(plan)
    own = of_sites(plan, folder, states[0].federation, result.selected_round)
    for site, personal in zip(consortium.sites, own, strict=True):
        score = evaluate_tail(plan, site, result.tail, "test", personal)
        assert score.loss == result.test[site.name].loss
        assert score.loss != evaluate_tail(plan, site, result.tail, "test").loss
    # One by one the images are predicted by the same models.
    shares = shares_of_views(plan, 2)
    predicted = [predict_share(plan, result.tail, views, lambda number, site: own[number]) for views in shares]
    rows = join_shares({tuple(views): batches for views, batches in zip(shares, predicted, strict=True)})
    labels = [record.label for record in consortium.pooled("test")]
    right = sum(score.correct for score in result.test.values())
    assert (rows.argmax(axis=1) == labels).sum() == right


def test_a_federation_goes_on_after_any_round_with_the_same_bytes(plan: TrainingPlan, done: Any) -> None:
    result, states, folder = done
    before = {path: path.read_bytes() for path in folder.rglob("*.safetensors")}
    again, _ = federate(plan, folder, states[0])
    assert again.tail.tobytes() == result.tail.tobytes()
    assert [report.evaluation.loss for report in again.rounds] == [report.evaluation.loss for report in result.rounds]  # type: ignore[union-attr]
    assert {site: score.loss for site, score in again.test.items()} == {
        site: score.loss for site, score in result.test.items()
    }
    assert {path: path.read_bytes() for path in folder.rglob("*.safetensors")} == before
    assert len(before) == 2 * 3


@pytest.mark.parametrize("arm", ["local", "probe"])
def test_a_training_without_a_federation_is_the_same_as_under_any_strategy(plan: TrainingPlan, arm: str) -> None:
    short = plan.changed({"study.centralized_epochs": 1})
    outcome = train_alone(short, arm, "north")
    assert (
        outcome.weights_digest
        == train_alone(short.changed({"federation.strategy": "fedavg"}), arm, "north").weights_digest
    )
    if arm == "local":
        assert outcome.trained_parameters == workbench(short, 2).layout.size + workbench(short, 2).personal.size
