"""Hospitals that fail on purpose: what the transport loses, what it changes, and what the server makes of it."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Message, RecordDict

from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from common.protocol.messages import CONFIG, ROUND, SITE, read_tail
from server.rounds.courier import Member
from server.rounds.federation import Federation
from server.rounds.observer import FederationObserver, RequireAllHospitals
from server.rounds.state import FederationResult, FederationState
from simulations.analysis.robustness import against_undisturbed, robustness_plans
from simulations.sites.consortium import load_consortium
from simulations.study.fault_descriptions import describe_faults, name_faults
from simulations.study.faults import DROPPED_OUT, FaultyTransport, with_faults
from simulations.study.trainings import units_of
from simulations.study.variants import Variant, variants_of
from simulations.study.workers import exception_text
from tests.server.rounds.hospitals_in_process import LAYOUT, TRUNK, Hospital, InProcessTransport, RecordingObserver
from tests.simulations.analysis.drawn_predictions import draw_predictions, patients_of

SITES = 5


class Sites(InProcessTransport):
    """Five honest sites, each on a node of its own; remembers what reached them."""

    def __init__(self) -> None:
        super().__init__(*(Hospital(node, f"site-{node}") for node in range(1, SITES + 1)))
        self.reached: list[tuple[str, int, int]] = []

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        sent = list(messages)
        for message in sent:
            config = message.content[CONFIG]
            number = config.get(ROUND, 0)
            self.reached.append((message.metadata.message_type, int(str(number)), int(str(config[SITE]))))
        return super().push_messages(sent)


def plan_with(**study: Any) -> TrainingPlan:
    changes = {f"study.{key}": value for key, value in study.items()}
    fixed = {"federation.rounds": 6, "federation.retry_seconds": 0, "exchange.score_bins": 2}
    return TrainingPlan.from_flat({**fixed, "federation.quarantine_after": 0, **changes})


def message(kind: str, site: int, number: int = 1) -> Message:
    config = ConfigRecord({SITE: site, ROUND: number})
    return Message(RecordDict({CONFIG: config}), dst_node_id=site + 1, message_type=kind)


def lost(plan: TrainingPlan, rounds: Iterable[int] = range(1, 41)) -> list[tuple[int, int]]:
    """Return the rounds and sites of which the transport loses the first reply."""
    transport = FaultyTransport(Sites(), plan, SITES)
    found = []
    for number in rounds:
        ids = transport.push_messages([message("train", site, number) for site in range(SITES)])
        replies = {reply.metadata.reply_to_message_id: reply for reply in transport.pull_messages(ids)}
        assert set(replies) == set(ids)
        found += [(number, site) for site, each in enumerate(ids) if replies[each].has_error()]
    return found


def federate(
    plan: TrainingPlan, state: FederationState | None = None, observer: FederationObserver | None = None
) -> FederationResult:
    members = [Member(number + 1, {SITE: number}) for number in range(SITES)]
    federation = Federation(
        with_faults(Sites(), plan, SITES),
        plan,
        classes=2,
        layout=LAYOUT,
        trunk_digest=TRUNK,
        present=lambda: members,
        observer=observer or RequireAllHospitals(),
        poll_seconds=0,
        explain=exception_text,
    )
    return federation.run(state or FederationState(np.zeros(3, np.float32), "f1"))


def test_the_same_plan_loses_the_same_replies_and_another_seed_others() -> None:
    plan = plan_with(dropout=0.3)
    first = lost(plan)
    assert first == lost(plan)
    assert 40 <= len(first) <= 80  # of 200: 60 and three standard deviations
    assert first != lost(plan_with(dropout=0.3, seed=2))
    # Folds and repeats have a luck of their own.
    assert first != lost(plan.changed({"data.fold": 1}))
    assert first != lost(plan.changed({"training.seed": 2}))


def test_a_later_round_loses_the_same_replies_whether_or_not_the_earlier_were_seen() -> None:
    plan = plan_with(dropout=0.3)
    assert lost(plan, range(20, 41)) == [each for each in lost(plan) if each[0] >= 20]


def test_a_repeated_round_meets_other_losses() -> None:
    transport = FaultyTransport(Sites(), plan_with(dropout=0.5), SITES)
    patterns = []
    for _ in range(8):
        ids = transport.push_messages([message("train", site) for site in range(SITES)])
        replies = {reply.metadata.reply_to_message_id: reply for reply in transport.pull_messages(ids)}
        patterns.append(tuple(replies[each].has_error() for each in ids))
    assert len(set(patterns)) > 3


def test_a_lost_reply_is_an_error_at_once_and_nobody_trains_for_it() -> None:
    sites = Sites()
    transport = FaultyTransport(sites, plan_with(dropout=0.999), SITES)
    (identity,) = transport.push_messages([message("train", 2)])
    (reply,) = transport.pull_messages([identity])
    assert sites.reached == []
    assert (reply.error.code, reply.error.reason) == (DROPPED_OUT, "dropped out of this round")
    assert reply.metadata.reply_to_message_id == identity


@pytest.mark.parametrize("kind", ["query", "evaluate"])
def test_only_replies_to_training_are_lost_or_changed(kind: str) -> None:
    plan = plan_with(dropout=0.999, hostile_sites=4)
    transport = FaultyTransport(Sites(), plan, SITES)
    asked = [message(kind, site) for site in range(SITES)]
    plain = Sites()
    expected = plain.pull_messages(plain.push_messages([message(kind, site) for site in range(SITES)]))
    for reply, other in zip(transport.pull_messages(transport.push_messages(asked)), expected, strict=True):
        assert reply.content == other.content


@pytest.mark.parametrize(("hostile", "factor"), [("scaled", 100), ("flipped", -1)])
def test_the_last_sites_send_changed_updates(hostile: str, factor: int) -> None:
    transport = FaultyTransport(Sites(), plan_with(hostile_sites=2, hostile=hostile), SITES)
    replies = transport.pull_messages(transport.push_messages([message("train", site) for site in range(SITES)]))
    sent = [read_tail(reply.content)[0] for reply in replies]
    assert sent == [1, 2, 3, 4 * factor, 5 * factor]  # a hospital trains by adding its node's number
    assert all(read_tail(reply.content).dtype == np.float32 for reply in replies)


def test_a_plan_without_faults_has_no_transport_of_its_own() -> None:
    sites = Sites()
    assert with_faults(sites, plan_with(), SITES) is sites


def test_the_servers_guard_catches_the_scaled_and_not_the_flipped() -> None:
    honest = federate(plan_with())
    scaled = federate(plan_with(hostile_sites=1))
    assert all("times the usual" in report.failures["site-5"] for report in scaled.rounds)
    assert scaled.tail.tolist() == [6 * 2.5] * 3  # the mean of 1 to 4, six times
    flipped = federate(plan_with(hostile_sites=1, hostile="flipped"))
    assert not any(report.failures for report in flipped.rounds)
    assert 0 < flipped.tail[0] < honest.tail[0]


def test_a_federation_of_hospitals_that_drop_out_goes_to_its_end_and_resumes_with_the_same_losses() -> None:
    plan = plan_with(dropout=0.4)
    observer = RecordingObserver()
    whole = federate(plan, observer=observer)
    failures = [report.failures for report in whole.rounds]
    assert any(failures)
    assert {reason for each in failures for reason in each.values()} == {"dropped out of this round"}
    for state in observer.states:
        rest = federate(plan, state)
        assert [report.failures for report in rest.rounds] == failures
        assert rest.tail.tobytes() == whole.tail.tobytes()


@pytest.mark.parametrize(
    ("study", "said"),
    [
        ({"study.dropout": 1}, "study.dropout = 1"),
        ({"study.hostile_sites": -1}, "study.hostile_sites = -1"),
        ({"study.hostile": "rude"}, "study.hostile = 'rude'"),
        ({"study.faults": "none,drop"}, "did you mean 'dropout'?"),
        ({"study.faults": "dropout"}, "say how likely it is in study.dropout"),
        ({"study.faults": "none,flipped"}, "names flipped: say how many sites are hostile"),
        ({"study.dropout": 0.3, "study.arms": "local"}, "act on the federated arm"),
    ],
)
def test_faults_that_make_no_sense_are_refused(study: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=r"^[^\n]*$") as caught:
        TrainingPlan.from_flat(study)
    assert said in str(caught.value)


def test_an_honest_hospital_must_be_left() -> None:
    plan = TrainingPlan.from_flat({"study.hostile_sites": 4, "study.sites": 4})
    with pytest.raises(InputError, match=r"study\.hostile_sites = 4 of 4 sites: leave an honest one"):
        load_consortium(plan)


def test_faults_make_another_federation_and_no_other_arm() -> None:
    base = TrainingPlan.from_flat({"study.arms": "federated,centralized", "study.sites": 3})
    kinds = ({}, {"study.dropout": 0.3}, {"study.hostile_sites": 1}, {"study.hostile_sites": 1, "study.seed": 1})
    keys = [[unit.key for unit in units_of(Variant(base.changed(changes)))] for changes in kinds]
    federated, centralized = zip(*keys, strict=True)
    assert len(set(federated)) == 3
    assert len(set(centralized)) == 1


def test_a_sweep_over_faults_names_its_variants_and_compares_them_with_the_undisturbed() -> None:
    _, plan = robustness_plans({"study.folds": 0, "study.strategies": "fedavg,krum", "study.arms": "federated"})
    variants, _ = variants_of(plan)
    names = [variant.name.removeprefix("efficientnet_lite0-") for variant in variants]
    assert names[:3] == ["fedavg-dirichlet-5", "fedavg-dirichlet-5-1scaled", "fedavg-dirichlet-5-1flipped"]
    assert len({unit.key for variant in variants for unit in units_of(variant)}) == len(variants) == 6
    drawn = draw_predictions(np.random.default_rng(1), patients_of(60), [1.0, 1.2, 1.4, 1.6, 1.8, 2.0])
    by_variant = dict(zip(variants, drawn, strict=True))
    against = [against_undisturbed(by_variant)[variant] for variant in variants]
    assert [sorted(found) for found in against] == [
        [],
        ["first", "same"],
        ["first", "same"],
        ["first"],
        ["first", "same"],
        ["first", "same"],
    ]
    assert (against[5]["same"].first, against[5]["same"].second) == (variants[5].name, variants[3].name)
    tested = against[4]["first"].accuracy
    assert tested is not None
    difference = tested.difference
    accuracy = [float((predictions.predicted == predictions.labels).mean()) for predictions in by_variant.values()]
    assert difference == pytest.approx(accuracy[4] - accuracy[0])


def test_faults_are_said_in_words() -> None:
    assert describe_faults(plan_with().study.model_dump(), 5) == []
    assert describe_faults({}, 5) == []
    (dropped, hostile) = describe_faults(plan_with(dropout=0.3, hostile_sites=1).study.model_dump(), 5)
    assert "lost with a probability of 30 %" in dropped
    assert "1 of 5 hospitals was hostile on purpose, and sent 100 times its update" in hostile
    (several,) = describe_faults(plan_with(hostile_sites=2, hostile="flipped").study.model_dump(), 5)
    assert "2 of 5 hospitals were hostile on purpose, and each sent its update with the sign flipped" in several
    assert [name_faults(0.3, 0, "scaled"), name_faults(0, 1, "flipped"), name_faults(0, 0, "scaled")] == [
        "30 % drop out",
        "1 hostile, flipped",
        "none",
    ]
