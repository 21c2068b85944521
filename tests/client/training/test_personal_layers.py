"""FedBN's layers that stay in the hospital: on disk, from round to round, and never in a reply."""

import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import Context, Message, RecordDict

from client.rules.egress_guard import release
from client.rules.policy import HospitalFailure
from client.rules.request import read_request
from client.runner.preview import preview
from client.training.personal_layers import PersonalLayers
from client.training.rounds import evaluate_tail, train_round
from common.errors import InputError
from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.refusals import Failure
from common.training.workbench import workbench
from server.rounds.federation import Federation
from server.rounds.messaging import Member
from server.rounds.state import FederationResult, FederationState
from simulations.client_app import app
from simulations.sites.consortium import load_consortium
from simulations.study.messages import LAYERS
from simulations.study.pooled_and_local import predict_with, train_alone
from simulations.study.workers import LayerFolderTransport
from tests.client.hospital import rules, write_hospital
from tests.federation.data import manifest
from tests.server.rounds.hospitals_in_process import InProcessTransport, RecordingObserver

LAYOUT = TailLayout(("norm.weight", "norm.running_mean"), ((3,), (3,)))


def layers(value: float) -> np.ndarray:
    return np.full(LAYOUT.size, value, np.float32)


def files(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.safetensors"))


def test_a_round_starts_from_the_layers_after_the_last_one_before_it(tmp_path: Path) -> None:
    own = PersonalLayers(tmp_path / "layers", "a", LAYOUT)
    assert own.after(0) is None
    for number in (1, 2, 5):
        own.keep(number, layers(number))
    found = [own.after(number) for number in range(7)]
    assert found[0] is None
    assert [one[0] for one in found[1:] if one is not None] == [1, 2, 2, 2, 5, 5]
    # A server that was set back asks for round 2 again: it starts as it did, and later rounds see what comes of it.
    own.keep(2, layers(2.5))
    assert np.array_equal(PersonalLayers(tmp_path / "layers", "a", LAYOUT).after(4), layers(2.5))
    assert PersonalLayers(tmp_path / "layers", "b", LAYOUT).after(5) is None


def test_only_the_hospital_can_read_them_and_few_federations_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "layers"
    for name in ("../../escape", "b", "c", "d"):
        PersonalLayers(folder, name, LAYOUT).keep(1, layers(1))
    assert PersonalLayers(folder, "../../escape", LAYOUT).after(1) is None
    assert len(files(folder)) == len(list(tmp_path.rglob("*.safetensors"))) == 3
    for path in files(folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_damaged_file_is_said_and_nothing_takes_its_place(tmp_path: Path) -> None:
    own = PersonalLayers(tmp_path, "a", LAYOUT)
    own.keep(1, layers(1))
    own.keep(2, layers(2))
    path = files(tmp_path)[1]
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(HospitalFailure, match="damaged") as failure:
            own.after(2)
        assert failure.value.kind == Failure.STATE
    for short in (whole[:-1], b""):
        path.write_bytes(short)
        with pytest.raises(HospitalFailure, match="damaged"):
            own.after(2)
    shutil.copy(files(tmp_path)[0], path)
    with pytest.raises(HospitalFailure, match="damaged"):
        own.after(2)
    path.unlink()
    assert np.array_equal(own.after(2), layers(1))


def test_layers_that_cannot_be_kept_fail_the_round(tmp_path: Path) -> None:
    (tmp_path / "layers").write_text("in the way")
    with pytest.raises(HospitalFailure, match="cannot be written") as failure:
        PersonalLayers(tmp_path / "layers", "a", LAYOUT).keep(1, layers(1))
    assert failure.value.kind == Failure.STATE


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
    rows = np.array(predict_with(plan, result.tail, lambda number, site: own[number]))
    labels = [record.label for record in consortium.pooled("test")]
    right = sum(score.correct for score in result.test.values())
    assert (rows.argmax(axis=1) == labels).sum() == right


def test_a_federation_goes_on_after_any_round_with_the_same_bytes(plan: TrainingPlan, done: Any) -> None:
    result, states, folder = done
    before = {path: path.read_bytes() for path in files(folder)}
    again, _ = federate(plan, folder, states[0])
    assert again.tail.tobytes() == result.tail.tobytes()
    assert [report.evaluation.loss for report in again.rounds] == [report.evaluation.loss for report in result.rounds]  # type: ignore[union-attr]
    assert {site: score.loss for site, score in again.test.items()} == {
        site: score.loss for site, score in result.test.items()
    }
    assert {path: path.read_bytes() for path in files(folder)} == before
    assert len(before) == 2 * 3


def ask(plan: TrainingPlan, folder: Path, **config: int | str) -> Message:
    tail = workbench(plan, 2).initial_tail
    asked = {messages.SITE: 0, messages.ROUND: 1, LAYERS: str(folder), **config}
    return Message(messages.request_content(plan, asked, tail), dst_node_id=1, message_type="train")


def test_what_leaves_is_as_large_as_the_layout_without_them(plan: TrainingPlan, tmp_path: Path) -> None:
    request = ask(plan, tmp_path, federation="a")
    reply = Node(1).answer(request)
    released, _ = release(reply.content, read_request(request), rules(suppress_below=0), "north")
    bench = workbench(plan, 2)
    everything = workbench(plan.changed({"federation.strategy": "fedavg"}), 2).layout.size
    assert messages.read_tail(released).size == bench.layout.size == everything - bench.personal.size
    assert bench.personal.size > 1000
    (kept,) = files(tmp_path)
    assert kept.stat().st_size > 4 * bench.personal.size


def test_a_message_must_say_which_federation_it_belongs_to(plan: TrainingPlan, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="came without federation"):
        Node(1).answer(ask(plan, tmp_path))
    assert files(tmp_path) == []


def test_other_strategies_keep_nothing(plan: TrainingPlan, tmp_path: Path) -> None:
    other = plan.changed({"federation.strategy": "fedavg"})
    Node(1).answer(ask(other, tmp_path, federation="a"))
    assert list(tmp_path.iterdir()) == []
    site = load_consortium(other).sites[0]
    assert train_round(other, site, workbench(other, 2).initial_tail, 1).personal.shape == (0,)


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


def test_a_preview_leaves_nothing_behind(plan: TrainingPlan, tmp_path: Path) -> None:
    hospital = write_hospital(tmp_path / "north", Path(plan.data.path))
    wanted = plan.changed({"data.classes": "healthy,sick"})
    told = preview(hospital, wanted)
    assert [(one.kind, one.refused) for one in told] == [("query", None), ("train", None), ("evaluate", None)]
    assert told[1].told["update"]["values"] == workbench(plan, 2).layout.size
    assert list(hospital.state.iterdir()) == []
