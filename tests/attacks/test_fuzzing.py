"""Either side may send anything that Flower can carry: no crash, always an audit record or a reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.models.tail_layout import TailLayout
from common.protocol import messages
from common.protocol.refusals import known_reason
from server.rounds.reply_checks import BadReply, SiteInfo, check_receipt, read_evaluation, read_info, read_update
from tests.client.runner.test_message_handler import PLAN, TAIL, Hospital

NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats()
LISTS = st.lists(st.integers(-(2**40), 2**40), max_size=20) | st.lists(st.floats(), max_size=5)
WORDS = (
    NUMBERS
    | st.booleans()
    | st.text(max_size=40)
    | st.binary(max_size=40)
    | st.sampled_from(["[/x]", "\x1b[2J", "x" * 1_000_000, "validation\n", PLAN.to_json(), PLAN.digest, "1" * 64])
    | st.lists(st.text(max_size=5), max_size=3)
)
KEYS = st.sampled_from(sorted(messages.KEYS)) | st.text(max_size=10)
TENSORS = st.sampled_from(
    [
        TAIL,
        TAIL[:2],
        TAIL.astype(np.float64),
        TAIL.reshape(1, 3),
        np.full(3, np.nan, np.float32),
        np.zeros(0, np.float32),
    ]
)
LAYOUT = TailLayout(("weight",), ((3,),))
SITE = SiteInfo("north", "0.1.0", "a" * 64, 10, 2, 4)
FUZZ = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def config(fields: dict[str, Any], **usual: Any) -> ConfigRecord:
    return ConfigRecord({**usual, **fields})


@FUZZ
@given(
    kind=st.sampled_from(["query", "train", "evaluate", "query.offer", "train.\u00e4"]),
    fields=st.dictionaries(KEYS, WORDS, max_size=4),
    honest=st.booleans(),
    tensor=TENSORS,
)
def test_whatever_a_server_sends_is_answered_and_recorded(
    tmp_path: Path, kind: str, fields: dict[str, Any], honest: bool, tensor: Any
) -> None:
    hospital = Hospital(tmp_path, federations=10**6, rounds_per_day=10**6)
    usual = {
        messages.PLAN: PLAN.to_json(),
        messages.PLAN_DIGEST: PLAN.digest,
        messages.FEDERATION: "f",
        messages.ROUND: 2,
        messages.SPLIT: "test",
    }
    content = RecordDict({messages.CONFIG: config(fields, **(usual if honest else {}))})
    if kind != "query":
        content[messages.ARRAYS] = ArrayRecord({messages.TAIL: Array(tensor)})
    before = len(hospital.records())
    answer = hospital.answer(Message(content, dst_node_id=1, message_type=kind))
    assert isinstance(answer, RecordDict) or known_reason(answer.reason)
    written = hospital.file.audit_log.read_bytes().splitlines()[before:]
    assert written, "what was asked stands in the audit log"
    assert all(len(line) < 2_000 and b"[/x]" not in line and b"\\u001b" not in line for line in written)
    assert json.loads(written[-1])["event"] in {"refused", "failed", "introduced", "trained", "tested", "resent"}


def refusal_of(read: Callable[[], object]) -> str:
    """Return why a reply is refused; "" if it is used."""
    try:
        read()
    except BadReply as reason:
        return str(reason)
    return ""


@FUZZ
@given(
    metrics=st.dictionaries(KEYS, NUMBERS | LISTS, max_size=6),
    words=st.dictionaries(KEYS, WORDS, max_size=4),
    records=st.sets(st.sampled_from([messages.METRICS, messages.CONFIG, messages.ARRAYS, "notes"])),
    tensor=TENSORS,
)
def test_whatever_a_hospital_sends_is_used_or_refused_with_a_reason(
    metrics: dict[str, Any], words: dict[str, Any], records: set[str], tensor: Any
) -> None:
    parts: dict[str, Any] = {
        messages.METRICS: MetricRecord(metrics),
        messages.CONFIG: ConfigRecord(words),
        messages.ARRAYS: ArrayRecord({messages.TAIL: Array(tensor)}),
        "notes": ConfigRecord({}),
    }
    asked = Message(RecordDict(), dst_node_id=1, message_type="train")
    reply = Message(RecordDict({name: parts[name] for name in sorted(records)}), reply_to=asked)
    for read in (
        lambda: read_info(reply),
        lambda: read_update(reply, SITE, LAYOUT, 2, 4),
        lambda: read_evaluation(reply, 4, 2, 4),
        lambda: check_receipt(reply, {messages.ROUND: 2, messages.FEDERATION: "f"}),
    ):
        reason = refusal_of(read)
        assert len(reason) < 500
        assert reason == "" or reason.isprintable()
        assert "[/x]" not in reason


@pytest.mark.parametrize("code", [0, 1, 4001, 4002, 10**6])
@pytest.mark.parametrize("reason", ["", "\x1b[2J", "[/x]", "x" * 10**6, "refused by rule hours"])
def test_no_error_s_words_reach_the_log(code: int, reason: str) -> None:
    asked = Message(RecordDict(), dst_node_id=1, message_type="train")
    with pytest.raises(BadReply) as refused:
        read_info(Message(Error(code, reason), reply_to=asked))
    assert str(refused.value).isprintable()
    assert len(str(refused.value)) < 100
