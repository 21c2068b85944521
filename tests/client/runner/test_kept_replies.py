"""What was computed before is sent again, whole, and only to the same request."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from client.rules.request import Request
from client.runner.kept_replies import KeptReplies
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.receipt import receipt_of

PLAN = TrainingPlan()
TAIL = np.arange(5, dtype=np.float32)
METRICS: dict[str, Any] = {messages.IMAGES: 10, messages.TRAIN_LOSS: 1 / 3, messages.SCORE_CONFUSION: [1, 0, 0, 2]}


def request(kind: str = "train", tail: Any = TAIL, **words: Any) -> Request:
    named = {key.replace("_", "-"): value for key, value in {"round": 1, "federation": "f1", **words}.items()}
    config = messages.request_content(PLAN, named, tail)[messages.CONFIG]
    assert isinstance(config, ConfigRecord)
    return Request(kind, PLAN, config)


def reply(asked: Request, change: Any = TAIL / 3) -> RecordDict:
    records = {
        messages.METRICS: MetricRecord(METRICS),
        messages.CONFIG: ConfigRecord({**receipt_of(asked.config)}),
    }
    return RecordDict(records | ({messages.ARRAYS: messages.tail_record(change)} if change is not None else {}))


def test_a_reply_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = KeptReplies(tmp_path / "replies")
    assert kept.find(request()) is None
    for asked, change in ((request(), TAIL / 3), (request("evaluate"), None)):
        kept.keep(asked, reply(asked, change))
        found = kept.find(asked)
        assert found is not None
        assert dict(found[messages.METRICS]) == METRICS
        assert dict(found[messages.CONFIG]) == receipt_of(asked.config)
        assert (messages.ARRAYS in found) == (change is not None)
    found = kept.find(request())
    assert found is not None
    assert messages.read_tail(found).tobytes() == (TAIL / 3).tobytes()


@pytest.mark.parametrize(
    "other",
    [request(round=2), request(federation="f2"), request(tail=TAIL + 1), request("evaluate"), request(split="test")],
)
def test_another_request_is_computed_anew(tmp_path: Path, other: Request) -> None:
    kept = KeptReplies(tmp_path)
    kept.keep(request(), reply(request()))
    assert kept.find(other) is None


def test_any_flipped_byte_makes_it_be_computed_anew(tmp_path: Path) -> None:
    kept = KeptReplies(tmp_path)
    kept.keep(request(), reply(request()))
    (path,) = tmp_path.glob("*.safetensors")
    whole = path.read_bytes()
    for position in range(0, len(whole), 3):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        found = kept.find(request())
        # A blank of the header's padding may become another blank: what is found is then still what was kept.
        assert found is None or messages.read_tail(found).tobytes() == (TAIL / 3).tobytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert kept.find(request()) is None


def test_only_the_last_few_stay_whatever_the_clock_says(tmp_path: Path) -> None:
    kept = KeptReplies(tmp_path)
    (tmp_path / ".left.safetensors.x.part").write_text("by a writer that was killed")
    for number in range(1, 6):
        kept.keep(request(round=number), reply(request(round=number)))
        assert kept.find(request(round=number)) is not None
    assert len(list(tmp_path.iterdir())) == 3
