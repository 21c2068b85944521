"""The ClientApp: which messages it answers, with what, and what of a hospital's own layers stays."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from client.app import build_client_app
from client.rules.egress_guard import release
from client.rules.request import read_request
from client.training.rounds import train_round, trunk_digest
from client.training.site import Site
from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.receipt import receipt_of
from common.training.workbench import workbench
from simulations.sites.consortium import load_consortium
from tests.client.hospital import rules
from tests.federation.data import manifest

Ask = Callable[[Message], Message]


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
        }
    )


@pytest.fixture(scope="module")
def site(plan: TrainingPlan) -> Site:
    return load_consortium(plan).sites[0]


@pytest.fixture
def app(site: Site, tmp_path: Path) -> ClientApp:
    return build_client_app(lambda *_: site, lambda _: tmp_path / "layers")


def answer(app: ClientApp, request: Message) -> RecordDict:
    return app(request, Context(1, 1, {}, RecordDict(), {})).content


def ask(plan: TrainingPlan, kind: str = "train", **config: int | str) -> Message:
    tail = None if kind == "query" else workbench(plan, 2).initial_tail
    content = messages.request_content(plan, {messages.ROUND: 1, **config}, tail)
    return Message(content, dst_node_id=1, message_type=kind)


def test_a_query_is_answered_by_name_trunk_and_counts(app: ClientApp, plan: TrainingPlan, site: Site) -> None:
    content = answer(app, ask(plan, "query"))
    assert content[messages.CONFIG][messages.NAME] == "north"
    assert content[messages.CONFIG][messages.TRUNK_DIGEST] == trunk_digest(plan, site)
    assert content[messages.METRICS][messages.TRAIN_IMAGES] == len(site.split.train)


def test_an_evaluation_is_of_the_split_that_was_asked_for(app: ClientApp, plan: TrainingPlan, site: Site) -> None:
    other = plan.changed({"federation.strategy": "fedavg"})
    for split, records in (("test", site.split.test), ("validation", site.split.validation)):
        request = ask(other, "evaluate", **{messages.SPLIT: split})
        content = answer(app, request)
        assert sum(content[messages.METRICS][messages.SCORE_CONFUSION]) == len(records)
        assert dict(content[messages.CONFIG]) == receipt_of(request.content[messages.CONFIG])


def test_a_plan_that_reads_differently_is_refused(app: ClientApp, plan: TrainingPlan) -> None:
    request = ask(plan, "query")
    request.content[messages.CONFIG][messages.PLAN_DIGEST] = "0" * 64
    with pytest.raises(InputError, match="does not have the digest"):
        answer(app, request)


def test_a_tail_that_was_damaged_on_its_way_is_refused(app: ClientApp, plan: TrainingPlan) -> None:
    request = ask(plan.changed({"federation.strategy": "fedavg"}))
    request.content[messages.ARRAYS] = messages.tail_record(workbench(plan, 2).initial_tail + 1)
    with pytest.raises(InputError, match="damaged on its way"):
        answer(app, request)


def test_a_hospitals_own_layers_stay_on_its_disk(app: ClientApp, plan: TrainingPlan, tmp_path: Path) -> None:
    request = ask(plan, federation="a")
    released, *_ = release(answer(app, request), read_request(request), rules(suppress_below=0), "north")
    bench = workbench(plan, 2)
    everything = workbench(plan.changed({"federation.strategy": "fedavg"}), 2).layout.size
    assert messages.read_tail(released).size == bench.layout.size == everything - bench.personal.size
    assert bench.personal.size > 1000
    (kept,) = tmp_path.rglob("*.safetensors")
    assert kept.stat().st_size > 4 * bench.personal.size


def test_a_message_must_say_which_federation_it_belongs_to(app: ClientApp, plan: TrainingPlan, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="came without federation"):
        answer(app, ask(plan))
    assert list(tmp_path.iterdir()) == []


def test_other_strategies_keep_nothing(app: ClientApp, plan: TrainingPlan, site: Site, tmp_path: Path) -> None:
    other = plan.changed({"federation.strategy": "fedavg"})
    answer(app, ask(other, federation="a"))
    assert list(tmp_path.iterdir()) == []
    assert train_round(other, site, workbench(other, 2).initial_tail, 1).personal.shape == (0,)
