"""One test for each thing that a reply could hold and that must not leave."""

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from client.guard import Release, release
from client.policy import HospitalFailure, Refusal
from client.request import Request
from common import exchange
from common.plan import TrainingPlan
from common.refusals import Failure, Rule
from tests.client.hospital import rules

PLAN = TrainingPlan.from_flat({"exchange.score_bins": 4})
ASKED = exchange.request_content(PLAN, {exchange.ROUND: 2})[exchange.CONFIG]
RECEIPT = exchange.receipt(ASKED)
SCORE: dict[str, Any] = {
    exchange.SCORE_LOSS: 0.7,
    exchange.SCORE_CONFUSION: [1, 0, 1, 1],
    exchange.SCORE_HISTOGRAM: [0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1],
}
TRAINED = {exchange.IMAGES: 10, exchange.TRAIN_LOSS: 0.5, **SCORE}
COUNTS = {exchange.TRAIN_IMAGES: 10, exchange.VALIDATION_IMAGES: 2, exchange.TEST_IMAGES: 4}
IDENTITY = {exchange.NAME: "north", exchange.VERSION: "0.1.0", exchange.TRUNK_DIGEST: "a" * 64}


def answer(metrics: dict[str, Any], **records: Any) -> RecordDict:
    words = ConfigRecord(RECEIPT)
    return RecordDict({exchange.CONFIG: words, exchange.METRICS: MetricRecord(metrics), **records})


def trained(metrics: dict[str, Any] | None = None, tail: Any = (1.0, 2.0), **records: Any) -> RecordDict:
    arrays = ArrayRecord({exchange.TAIL: Array(np.array(tail, np.float32))})
    return answer(TRAINED | (metrics or {}), **{exchange.ARRAYS: arrays, **records})


def introduced(identity: dict[str, Any] | None = None, counts: dict[str, Any] | None = None) -> RecordDict:
    return answer(
        COUNTS | (counts or {}), **{exchange.CONFIG: ConfigRecord({**RECEIPT, **IDENTITY, **(identity or {})})}
    )


def let(reply: RecordDict, kind: str = "train", **changes: Any) -> Release:
    return release(reply, Request(kind, PLAN, ASKED), rules(**changes), "north")


def test_an_honest_update_leaves_as_it_is() -> None:
    content, withheld = let(trained())
    assert exchange.tail_of(content).tolist() == [1.0, 2.0]
    assert dict(content[exchange.METRICS]) == TRAINED
    assert dict(content[exchange.CONFIG]) == RECEIPT
    assert withheld == ()


@pytest.mark.parametrize(
    "reply",
    [
        trained({"patient": 3}),
        trained({exchange.TRAIN_LOSS: float("nan")}),
        trained({exchange.TRAIN_LOSS: 1e308}),
        trained({exchange.IMAGES: 10.0}),
        trained({exchange.SCORE_HISTOGRAM: [0.25] * 16}),
        trained({exchange.SCORE_HISTOGRAM: [1] * 16}),
        trained({exchange.SCORE_CONFUSION: [1, 2, 3]}),
        trained(tail=[np.nan, 1]),
        trained(tail=[[1, 2]]),
        trained(notes=ConfigRecord({"file": "MUELLER_ANNA.dcm"})),
        trained(**{exchange.CONFIG: ConfigRecord(IDENTITY)}),
        trained(**{exchange.ARRAYS: ArrayRecord({"tail": Array(np.zeros(2, np.float32)), "more": Array(np.zeros(2))})}),
        trained(**{exchange.ARRAYS: ArrayRecord({"tail": Array(np.zeros(2, np.float64))})}),
        answer(TRAINED),
        trained(**{exchange.CONFIG: ConfigRecord({**RECEIPT, "file": "MUELLER_ANNA.dcm"})}),
        trained(**{exchange.CONFIG: ConfigRecord({**RECEIPT, exchange.ROUND: 3})}),
    ],
)
def test_what_is_not_on_the_closed_list_is_stopped(reply: RecordDict) -> None:
    with pytest.raises(HospitalFailure) as stopped:
        let(reply)
    assert stopped.value.kind == Failure.REPLY


@pytest.mark.parametrize(
    "reply",
    [
        introduced({exchange.NAME: "south"}),
        introduced({exchange.VERSION: "0.1.0 at /home/anna/images"}),
        introduced({exchange.TRUNK_DIGEST: "MUELLER ANNA"}),
        introduced({"path": "/data"}),
        introduced(counts={"patients": 3}),
        introduced(counts={exchange.TEST_IMAGES: -1}),
    ],
)
def test_an_identity_says_name_version_and_trunk_only(reply: RecordDict) -> None:
    with pytest.raises(HospitalFailure):
        let(reply, "query")


def test_small_counts_are_not_told() -> None:
    content, withheld = let(introduced(), "query", suppress_below=3)
    assert dict(content[exchange.METRICS]) == {exchange.TRAIN_IMAGES: 10, exchange.TEST_IMAGES: 4}
    assert withheld == (exchange.VALIDATION_IMAGES,)


@pytest.mark.parametrize("changes", [{"suppress_below": 4}, {"share": ["train_loss"]}])
def test_scores_over_few_images_or_unshared_ones_stay(changes: dict[str, Any]) -> None:
    content, withheld = let(trained(), **changes)
    assert dict(content[exchange.METRICS]) == {exchange.IMAGES: 10, exchange.TRAIN_LOSS: 0.5}
    assert set(withheld) == set(SCORE)
    assert dict(let(answer(SCORE), "evaluate", **changes).content[exchange.METRICS]) == {}


def test_a_training_loss_that_is_not_shared_stays() -> None:
    content, withheld = let(trained(), share=["scores"])
    assert exchange.TRAIN_LOSS not in content[exchange.METRICS]
    assert withheld == (exchange.TRAIN_LOSS,)


def test_a_training_on_too_few_images_is_refused_at_the_gate_too() -> None:
    with pytest.raises(Refusal) as refusal:
        let(trained({exchange.IMAGES: 4}))
    assert refusal.value.rule == Rule.LEAST_IMAGES
