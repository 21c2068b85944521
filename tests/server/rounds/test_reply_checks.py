"""One test for each way in which a reply can be unusable."""

from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict

from common.models.tail_layout import TailLayout
from common.protocol import messages
from server.rounds.reply_checks import BadReply, SiteInfo, check_receipt, read_evaluation, read_info, read_update

SITE = SiteInfo("north", "0.1.0", "a" * 64, train_images=10, validation_images=3, test_images=4)
LAYOUT = TailLayout(("a", "b"), ((2, 2), (3,)))
BINS = 4
GOOD: dict[str, Any] = {
    messages.IMAGES: 10,
    messages.TRAIN_LOSS: 0.5,
    messages.SCORE_LOSS: 0.7,
    messages.SCORE_CONFUSION: [1, 0, 1, 1],
    # Classes x (others, own) x bins: one image of class 0, two of class 1.
    messages.SCORE_HISTOGRAM: [0, 1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1],
    messages.SCORE_AREAS: [0.75],
}


def reply(
    metrics: dict[str, Any] | None = None, arrays: ArrayRecord | None = None, words: dict[str, Any] | None = None
) -> Message:
    content = RecordDict({messages.ARRAYS: messages.tail_record(np.ones(7, np.float32)) if arrays is None else arrays})
    content[messages.METRICS] = MetricRecord(GOOD | (metrics or {}))
    content[messages.CONFIG] = ConfigRecord({messages.ROUND: 3} | (words or {}))
    return Message(content, reply_to=sent())


def sent() -> Message:
    return Message(RecordDict(), dst_node_id=1, message_type="train")


def read(message: Message) -> Any:
    return read_update(message, SITE, LAYOUT, classes=2, bins=BINS)


def test_a_good_update_is_read() -> None:
    update = read(reply())
    assert update.report.images == 10
    assert update.report.train_loss == 0.5
    assert update.report.evaluation.images == 3
    assert update.report.change_norm == pytest.approx(7**0.5)
    assert update.change.tolist() == [1.0] * 7


def tail(values: Any, dtype: Any = np.float32) -> ArrayRecord:
    return ArrayRecord({messages.TAIL: Array(np.array(values, dtype=dtype))})


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (reply(arrays=tail([1, 2, 3, 4, 5, 6, np.nan])), "NaN or infinity"),
        (reply(arrays=tail([1, 2, 3, 4, 5, 6, np.inf])), "NaN or infinity"),
        (reply(arrays=tail([1, 2, 3, 4, 5, 6, -3e38])), r"values beyond 1e\+30"),
        (reply({messages.TRAIN_LOSS: 1e308}), "train-loss is 1e"),
        (reply({messages.SCORE_LOSS: 1e308}), "score-loss is 1e"),
        (reply(arrays=tail([1, 2, 3])), "update of 3 values instead of 7"),
        (reply(arrays=tail([1] * 8)), "update of 8 values instead of 7"),
        (reply(arrays=tail([[1] * 7])), "not a flat float32 vector"),
        (reply(arrays=tail([1] * 7, np.float64)), "not a flat float32 vector"),
        (reply(arrays=tail([1] * 7, np.int64)), "not a flat float32 vector"),
        (reply(arrays=ArrayRecord()), "exactly one array"),
        (reply({messages.IMAGES: 0}), "weight is 0"),
        (reply({messages.IMAGES: -3}), "weight is -3"),
        (reply({messages.IMAGES: 11}), "weight is 11"),
        (reply({messages.IMAGES: 10.0}), "weight is 10.0"),
        (reply({messages.TRAIN_LOSS: float("nan")}), "train-loss is nan"),
        (reply({messages.TRAIN_LOSS: 1}), "train-loss is 1"),
        (reply({messages.SCORE_LOSS: float("inf")}), "score-loss is inf"),
        (reply({messages.SCORE_CONFUSION: [1, 0, 1]}), "score-confusion is not a list of 4"),
        (reply({messages.SCORE_CONFUSION: [2, 0, 1, 1]}), "do not count the same images"),
        (reply({"age": 40.0}), "not asked for: unknown"),
        (reply(words={"note": "x"}), "not asked for: unknown"),
        (reply({messages.SCORE_HISTOGRAM: [0] * 15}), "score-histogram is not a list of 16"),
    ],
)
def test_a_bad_update_is_refused_with_its_reason(message: Message, reason: str) -> None:
    with pytest.raises(BadReply, match=reason):
        read(message)


@pytest.mark.parametrize(
    "words",
    [{messages.ROUND: 2}, {messages.TAIL_DIGEST: "b"}, {messages.PLAN_DIGEST: "c"}, {messages.FEDERATION: "d"}],
)
def test_a_reply_to_another_request_is_refused(words: dict[str, Any]) -> None:
    asked = {messages.ROUND: 3, messages.TAIL_DIGEST: "a", messages.PLAN_DIGEST: "b", messages.FEDERATION: "c"}
    check_receipt(reply(words=asked), asked)
    (key,) = words
    with pytest.raises(BadReply, match=f"answers another request: {key} "):
        check_receipt(reply(words=asked | words), asked)
    with pytest.raises(BadReply, match="does not say what it answers"):
        check_receipt(Message(RecordDict(), reply_to=sent()), asked)


def test_missing_records_are_refused() -> None:
    with pytest.raises(BadReply, match="no metrics record"):
        read(Message(RecordDict(), reply_to=sent()))
    metrics = {messages.METRICS: MetricRecord(GOOD)}
    with pytest.raises(BadReply, match="no config record"):
        read(Message(RecordDict(metrics), reply_to=sent()))
    lonely = Message(RecordDict({**metrics, messages.CONFIG: ConfigRecord()}), reply_to=sent())
    with pytest.raises(BadReply, match="exactly one array"):
        read(lonely)


def test_of_an_error_only_words_of_the_protocol_are_kept() -> None:
    for code, reason, word in (
        (4002, "failed: data", "failed: data"),
        (4001, "refused by rule hours", "refused by rule hours"),
        (8, "Traceback\n  File x\nMessage: disk full", "its app crashed"),
        (2, "", "its app failed"),
        (4002, "failed: \x1b[2J", "unknown failure"),
    ):
        with pytest.raises(BadReply, match=f"^{word}$"):
            read(Message(Error(code, reason), reply_to=sent()))


def test_a_norm_is_finite_whatever_the_values() -> None:
    large = read(reply(arrays=tail([1e30] * 7)))
    assert large.report.change_norm == pytest.approx(1e30 * 7**0.5)


def test_an_introduction_is_read_or_refused() -> None:
    words = {messages.NAME: "north", messages.VERSION: "0.1.0", messages.TRUNK_DIGEST: "a" * 64}
    counts = {messages.TRAIN_IMAGES: 10, messages.VALIDATION_IMAGES: 3, messages.TEST_IMAGES: 4}

    def introduce(words: dict[str, Any], counts: dict[str, Any]) -> SiteInfo:
        records = {messages.CONFIG: ConfigRecord(words), messages.METRICS: MetricRecord(counts)}
        return read_info(Message(RecordDict(records), reply_to=sent()))

    assert introduce(words, counts) == SITE
    for wrong in (words | {messages.NAME: ""}, words | {messages.VERSION: 1}, {messages.NAME: "north"}):
        with pytest.raises(BadReply):
            introduce(wrong, counts)
    for wrong_counts in (counts | {messages.TEST_IMAGES: -1}, counts | {messages.TEST_IMAGES: 1.5}, {}):
        with pytest.raises(BadReply):
            introduce(words, wrong_counts)


def test_a_score_must_cover_the_declared_images() -> None:
    metrics = {key: value for key, value in GOOD.items() if key.startswith("score-")}
    records = {messages.METRICS: MetricRecord(metrics), messages.CONFIG: ConfigRecord()}
    scored = Message(RecordDict(records), reply_to=sent())
    assert read_evaluation(scored, 3, classes=2, bins=BINS).accuracy == pytest.approx(2 / 3)
    with pytest.raises(BadReply, match="scored 3 images, declared 4"):
        read_evaluation(scored, 4, classes=2, bins=BINS)
    with pytest.raises(BadReply, match="not asked for"):
        read_evaluation(reply(), 3, classes=2, bins=BINS)
