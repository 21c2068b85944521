"""A federation over a courier that answers in this process: who is left out, and what becomes of the rest."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Error, Message, MetricRecord, RecordDict

from common import exchange
from common.errors import RunError
from common.exchange import TailLayout
from common.plan import TrainingPlan
from common.refusals import Rule, refusal
from server.course import federated_evaluation, history, metrics_of_score
from server.federation import Federation, Member, RoundReport

LAYOUT = TailLayout(("weight",), ((3,),))
TRUNK = "a" * 64
SCORE: dict[str, Any] = {
    exchange.SCORE_LOSS: 0.5,
    exchange.SCORE_CONFUSION: [2, 0, 1, 1],
    exchange.SCORE_HISTOGRAM: [1, 1, 1, 1, 1, 1, 1, 1],
}


class Courier:
    """Answers every message at once, as the hospitals of `answers` (by node) would."""

    def __init__(self, *hospitals: "Hospital") -> None:
        self._hospitals = {hospital.node: hospital for hospital in hospitals}
        self._replies: dict[str, Message] = {}

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        ids = []
        for number, message in enumerate(messages):
            message.metadata.__dict__["_message_id"] = f"{len(self._replies)}-{number}"
            ids.append(message.metadata.message_id)
            self._replies[ids[-1]] = self._hospitals[message.metadata.dst_node_id].answer(message)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        return [self._replies[each] for each in message_ids]


class Hospital:
    """One that trains by adding its node's number."""

    def __init__(
        self, node: int, name: str, *, trunk: str = TRUNK, shares: bool = True, says: str | None = None
    ) -> None:
        self.node, self._name, self._trunk, self._shares, self._says = node, name, trunk, shares, says

    def answer(self, message: Message) -> Message:
        if self._says:
            return Message(Error(4001, self._says), reply_to=message)
        score = SCORE if self._shares else {}
        kind = message.metadata.message_type
        if kind == "query":
            identity = {exchange.NAME: self._name, exchange.VERSION: "1", exchange.TRUNK_DIGEST: self._trunk}
            counts = {exchange.TRAIN_IMAGES: 10}
            counts |= {exchange.VALIDATION_IMAGES: 4, exchange.TEST_IMAGES: 4} if self._shares else {}
            content = {exchange.CONFIG: ConfigRecord(identity), exchange.METRICS: MetricRecord(counts)}
        elif kind == "train":
            change = np.full(3, self.node, np.float32)
            metrics = {exchange.IMAGES: 10, **({exchange.TRAIN_LOSS: 0.7} if self._shares else {}), **score}
            content = {exchange.ARRAYS: exchange.tail_record(change), exchange.METRICS: MetricRecord(metrics)}
        else:
            content = {exchange.METRICS: MetricRecord(score)}
        return Message(RecordDict(content), reply_to=message)


def federate(*hospitals: Hospital, admitted: dict[int, str] | None = None, min_sites: int = 1, **observers: Any) -> Any:
    plan = TrainingPlan.from_flat({"federation.rounds": 2, "federation.min_sites": min_sites, "exchange.score_bins": 2})
    rounds: list[RoundReport] = []
    federation = Federation(
        Courier(*hospitals), plan, classes=2, layout=LAYOUT, trunk_digest=TRUNK, on_round=rounds.append, **observers
    )
    members = [Member(hospital.node, name=(admitted or {}).get(hospital.node, "")) for hospital in hospitals]
    return federation.run(members, np.zeros(3, np.float32))


def test_hospitals_that_cannot_take_part_are_left_out_by_name_and_reason() -> None:
    told: dict[str, str] = {}
    present: list[str] = []

    def note(infos: Any, left_out: Any) -> None:
        present.extend(info.name for info in infos)
        told.update(left_out)

    result = federate(
        Hospital(1, "north"),
        Hospital(2, "north"),
        Hospital(3, "east", trunk="b" * 64),
        Hospital(4, "?", says=refusal(Rule.FAMILIES)),
        Hospital(5, "west"),
        admitted={1: "north", 2: "south", 3: "east", 4: "centre", 5: "west"},
        on_introduced=note,
    )
    assert present == ["north", "west"]
    assert told["south"] == "goes by the name north, was admitted as south"
    assert "another frozen trunk" in told["east"]
    assert told["centre"] == "refused by rule families"
    assert [list(report.sites) for report in result.rounds] == [["north", "west"]] * 2
    assert result.tail.tolist() == [6.0] * 3  # the mean of 1 and 5, twice


def test_two_of_one_name_cannot_both_take_part() -> None:
    told: dict[str, str] = {}
    federate(Hospital(1, "north"), Hospital(2, "north"), on_introduced=lambda infos, left_out: told.update(left_out))
    assert told == {"node 2": "another hospital goes by the name north already"}


def test_by_default_all_must_take_part() -> None:
    with pytest.raises(RunError, match="node 2: refused by rule hours"):
        federate(Hospital(1, "north"), Hospital(2, "south", says=refusal(Rule.HOURS)))


def test_too_few_hospitals_end_the_run_before_it_begins() -> None:
    with pytest.raises(RunError, match=r"1 of 2 hospitals take part, federation.min_sites is 2 \(south: refused"):
        federate(
            Hospital(1, "north"),
            Hospital(2, "south", says=refusal(Rule.APPS)),
            admitted={2: "south"},
            min_sites=2,
            on_introduced=lambda infos, left_out: None,
        )


def test_hospitals_that_share_no_scores_still_train_a_model() -> None:
    result = federate(Hospital(1, "north", shares=False), Hospital(3, "south", shares=False))
    assert result.selected_round == 2
    assert result.test == {}
    assert [report.train_loss for report in result.rounds] == [None, None]
    assert federated_evaluation(result) is None
    assert all(point["validation_loss"] is None for point in history(result, 2))


def test_one_hospital_that_shares_speaks_for_itself_alone() -> None:
    result = federate(Hospital(1, "north"), Hospital(3, "south", shares=False))
    assert list(result.test) == ["north"]
    assert result.rounds[0].train_loss == 0.7
    metrics = metrics_of_score(result.test["north"])
    assert (metrics["correct"], metrics["total"], metrics["sensitivity"], metrics["specificity"]) == (3, 4, 0.5, 1.0)
    # Wilson's interval of 3 in 4.
    assert metrics["ci95"]["accuracy"] == pytest.approx([0.3006, 0.9544], abs=1e-4)
    assert metrics["auc"] == 0.5
