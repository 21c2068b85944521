"""One test for each thing that a reply could hold and that must not leave."""

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from client.rules.egress_guard import Release, release
from client.rules.policy import HospitalFailure, Refusal
from client.rules.request import Request
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.receipt import receipt_of
from common.protocol.refusals import Failure, Rule
from tests.client.hospital import rules

PLAN = TrainingPlan.from_flat({"exchange.score_bins": 4})
ASKED = messages.request_content(PLAN, {messages.ROUND: 2})[messages.CONFIG]
RECEIPT = receipt_of(ASKED)
SCORE: dict[str, Any] = {
    messages.SCORE_LOSS: 0.7,
    messages.SCORE_CONFUSION: [1, 0, 1, 1],
    messages.SCORE_HISTOGRAM: [1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1],
    messages.SCORE_AREAS: [0.75],
}
TRAINED = {messages.IMAGES: 10, messages.TRAIN_LOSS: 0.5, **SCORE}
COUNTS = {messages.TRAIN_IMAGES: 10, messages.VALIDATION_IMAGES: 2, messages.TEST_IMAGES: 4}
IDENTITY = {messages.NAME: "north", messages.VERSION: "0.1.0", messages.TRUNK_DIGEST: "a" * 64}


def answer(metrics: dict[str, Any], **records: Any) -> RecordDict:
    words = ConfigRecord(RECEIPT)
    return RecordDict({messages.CONFIG: words, messages.METRICS: MetricRecord(metrics), **records})


def trained(metrics: dict[str, Any] | None = None, tail: Any = (1.0, 2.0), **records: Any) -> RecordDict:
    arrays = ArrayRecord({messages.TAIL: Array(np.array(tail, np.float32))})
    return answer(TRAINED | (metrics or {}), **{messages.ARRAYS: arrays, **records})


def introduced(identity: dict[str, Any] | None = None, counts: dict[str, Any] | None = None) -> RecordDict:
    return answer(
        COUNTS | (counts or {}), **{messages.CONFIG: ConfigRecord({**RECEIPT, **IDENTITY, **(identity or {})})}
    )


def let(reply: RecordDict, kind: str = "train", **changes: Any) -> Release:
    return release(reply, Request(kind, PLAN, ASKED), rules(**{"suppress_below": 1, **changes}), "north")


def test_an_honest_update_leaves_as_it_is() -> None:
    content, withheld, _ = let(trained())
    assert messages.read_tail(content).tolist() == [1.0, 2.0]
    assert dict(content[messages.METRICS]) == TRAINED
    assert dict(content[messages.CONFIG]) == RECEIPT
    assert withheld == ()


@pytest.mark.parametrize(
    "reply",
    [
        trained({"patient": 3}),
        trained({messages.TRAIN_LOSS: float("nan")}),
        trained({messages.TRAIN_LOSS: 1e308}),
        trained({messages.IMAGES: 10.0}),
        trained({messages.SCORE_HISTOGRAM: [0.25] * 16}),
        trained({messages.SCORE_HISTOGRAM: [1] * 16}),
        trained({messages.SCORE_CONFUSION: [1, 2, 3]}),
        trained(tail=[np.nan, 1]),
        trained(tail=[[1, 2]]),
        trained(notes=ConfigRecord({"file": "MUELLER_ANNA.dcm"})),
        trained(**{messages.CONFIG: ConfigRecord(IDENTITY)}),
        trained(**{messages.ARRAYS: ArrayRecord({"tail": Array(np.zeros(2, np.float32)), "more": Array(np.zeros(2))})}),
        trained(**{messages.ARRAYS: ArrayRecord({"tail": Array(np.zeros(2, np.float64))})}),
        answer(TRAINED),
        trained(**{messages.CONFIG: ConfigRecord({**RECEIPT, "file": "MUELLER_ANNA.dcm"})}),
        trained(**{messages.CONFIG: ConfigRecord({**RECEIPT, messages.ROUND: 3})}),
    ],
)
def test_what_is_not_on_the_closed_list_is_stopped(reply: RecordDict) -> None:
    with pytest.raises(HospitalFailure) as stopped:
        let(reply)
    assert stopped.value.kind == Failure.REPLY


@pytest.mark.parametrize(
    "reply",
    [
        introduced({messages.NAME: "south"}),
        introduced({messages.VERSION: "0.1.0 at /home/anna/images"}),
        introduced({messages.TRUNK_DIGEST: "MUELLER ANNA"}),
        introduced({"path": "/data"}),
        introduced(counts={"patients": 3}),
        introduced(counts={messages.TEST_IMAGES: -1}),
    ],
)
def test_an_identity_says_name_version_and_trunk_only(reply: RecordDict) -> None:
    with pytest.raises(HospitalFailure):
        let(reply, "query")


def test_small_counts_are_not_told() -> None:
    content, withheld, _ = let(introduced(), "query", suppress_below=3)
    assert dict(content[messages.METRICS]) == {messages.TRAIN_IMAGES: 10, messages.TEST_IMAGES: 4}
    assert withheld == (messages.VALIDATION_IMAGES,)


@pytest.mark.parametrize("changes", [{"suppress_below": 4}, {"share": ["train_loss"]}])
def test_scores_over_few_images_or_unshared_ones_stay(changes: dict[str, Any]) -> None:
    content, withheld, _ = let(trained(), **changes)
    assert dict(content[messages.METRICS]) == {messages.IMAGES: 10, messages.TRAIN_LOSS: 0.5}
    assert set(withheld) == set(SCORE)
    assert dict(let(answer(SCORE), "evaluate", **changes).content[messages.METRICS]) == {}


def test_a_training_loss_that_is_not_shared_stays() -> None:
    content, withheld, _ = let(trained(), share=["scores"])
    assert messages.TRAIN_LOSS not in content[messages.METRICS]
    assert withheld == (messages.TRAIN_LOSS,)


def test_a_training_on_too_few_images_is_refused_at_the_gate_too() -> None:
    with pytest.raises(Refusal) as refusal:
        let(trained({messages.IMAGES: 4}))
    assert refusal.value.rule == Rule.LEAST_IMAGES
