"""A hospital that was let in and lies: each test is one lie, told to a federation in this process."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.receipt import RECEIPT
from server.rounds.grid_transport import GridTransport
from server.rounds.messaging import Transport
from server.rounds.reply_checks import BadReply, SiteInfo, check_receipt, read_evaluation, read_info, read_update
from server.runs.reading import view_run
from server.runs.recorder import RunRecorder
from server.runs.run_display import draw_run
from server.runs.run_folder import RunFolder
from server.runs.run_naming import reserve_run, unfinished
from tests.server.rounds.hospitals_in_process import Hospital, federate
from tests.server.rounds.superlink_in_process import SuperLinkInProcess
from tests.server.rounds.test_grid_transport import answered

# A window's title, a cleared screen, markup that rich would stumble over, a forged line of the log, and length.
EVIL = "EVIL\x1b]0;EVIL\x07\x1b[2J[/x][bold]EVIL\nround 9/9: 9 hospitals\r" + "EVIL" * 250_000


class Liar(Hospital):
    """One whose replies are changed before they leave."""

    def __init__(self, node: int, name: str, **lies: Callable[[Message], Message]) -> None:
        super().__init__(node, name)
        self._lies = lies

    def answer(self, message: Message) -> Message:
        reply = super().answer(message)
        lie = self._lies.get(message.metadata.message_type)
        return lie(reply) if lie else reply


def says(record: str, **values: Any) -> Callable[[Message], Message]:
    """Return a lie that adds values to a record of the reply, or replaces them."""
    kind = {messages.CONFIG: ConfigRecord, messages.METRICS: MetricRecord}.get(record, ConfigRecord)

    def lie(reply: Message) -> Message:
        held = reply.content.get(record, {})
        reply.content[record] = kind({**held, **{key.replace("_", "-"): value for key, value in values.items()}})  # type: ignore[dict-item]
        return reply

    return lie


def sends(values: Any) -> Callable[[Message], Message]:
    """Return a lie that sends another array than the update."""

    def lie(reply: Message) -> Message:
        reply.content[messages.ARRAYS] = ArrayRecord({messages.TAIL: Array(np.array(values))})
        return reply

    return lie


def fails(reply: Message) -> Message:
    asked = Message(RecordDict(), dst_node_id=reply.metadata.src_node_id, message_type="train")
    asked.metadata.__dict__["_message_id"] = reply.metadata.reply_to_message_id
    return Message(Error(4002, EVIL), reply_to=asked)


_NAMED = np.zeros(3, [(EVIL[:1000], "f4")])

WORDS: Mapping[str, Mapping[str, Callable[[Message], Message]]] = {
    "name": {"query": says("config", name=EVIL)},
    "version": {"query": says("config", version=EVIL)},
    "trunk": {"query": says("config", trunk_digest=EVIL)},
    "reason of a query": {"query": fails},
    "reason of a round": {"train": fails},
    "reason of a test": {"evaluate": fails},
    "receipt": {"train": says("config", plan_digest=EVIL)},
    "receipt of a number": {"train": says("config", round=EVIL)},
    "key of a word": {"train": says("config", **{EVIL: "x"})},
    "key of a number": {"train": says("metrics", **{EVIL: 1})},
    "key of a record": {"train": says(EVIL, x="x")},
    "fields of an array": {"train": sends(_NAMED)},
    "long list": {"train": says("metrics", num_examples=[1919] * 250_000)},
    "long loss": {"train": says("metrics", score_loss=[1919.0] * 250_000)},
}


@pytest.mark.parametrize("place", WORDS)
def test_no_word_of_a_reply_reaches_log_checkpoint_or_terminal(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = TrainingPlan.from_flat({"federation.rounds": 2})
    with RunFolder(reserve_run(tmp_path, "run")) as run:
        recorder = RunRecorder(run, run.checkpoints("federation", "id", plan.federation), 2)
        liar = Liar(3, "south", **WORDS[place])
        federate(Hospital(1, "north"), liar, admitted={1: "north", 3: "south"}, observer=recorder)
        recorder.close()
    screen = io.StringIO()
    Console(file=screen, width=300).print(draw_run(1, "running", view_run(run.path)))
    written = {path.name: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    shown = {"printed": capsys.readouterr().out.encode(), "status": screen.getvalue().encode()}
    assert not unfinished(run.final).exists()
    for where, content in (written | shown).items():
        for trace in (b"EVIL", b"1919", b"\\u001b", b"9/9"):
            assert trace not in content, (where, content[:300])
        assert len(content) < 100_000, where
    assert b"south" in written["run.log"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("lie", ["another message's answer", "no message", "garbage"])
def test_a_reply_that_is_no_answer_ends_no_run(lie: str) -> None:
    """Flower pulls what the hospital uploaded, whatever it is; and takes its word for what it answers."""
    superlink = SuperLinkInProcess()
    nodes = [superlink.node() for _ in range(2)]
    transport: Transport = GridTransport(superlink.grid)
    ids = list(transport.push_messages([superlink.question(node) for node in nodes]))
    superlink.answer_with(nodes[0], lie)
    superlink.answer(nodes[1], whole=True)
    assert answered(transport, ids, 2) == {ids[0]: "its reply cannot be read", ids[1]: ""}


_SITE = SiteInfo("north", "0.1.0", "a" * 64, train_images=10, validation_images=4, test_images=4)
_LAYOUT = TailLayout(("weight",), ((3,),))
_numbers = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(), st.lists(st.integers(-5, 2**40), max_size=20))
_words = st.one_of(st.text(max_size=20), st.binary(max_size=20), st.integers(-5, 5), st.booleans(), st.floats())
_keys = st.one_of(st.sampled_from(sorted(messages.KEYS)), st.text(min_size=1, max_size=5))
_arrays = st.one_of(
    st.sampled_from([np.ones(3, np.float32), np.ones(3), np.zeros((3, 0), np.float32), _NAMED]).map(Array),
    st.builds(
        Array,
        dtype=st.sampled_from(["float32", "object", EVIL[:20]]),
        shape=st.lists(st.integers(-3, 10**12), max_size=3).map(tuple),
        stype=st.sampled_from(["numpy.ndarray", EVIL[:20]]),
        data=st.binary(max_size=200),
    ),
)
_record = st.one_of(
    st.dictionaries(_keys, _numbers, max_size=8).map(MetricRecord),
    st.dictionaries(_keys, _words, max_size=8).map(ConfigRecord),
    st.dictionaries(_keys, _arrays, max_size=2).map(ArrayRecord),
)
_content = st.dictionaries(st.sampled_from(["config", "metrics", "arrays", EVIL[:20]]), _record, max_size=4)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=_content)
def test_any_reply_is_read_or_refused_in_known_words(content: dict[str, Any]) -> None:
    asked = Message(RecordDict(), dst_node_id=1, message_type="train")
    reply = Message(RecordDict(content), reply_to=asked)
    for read in (
        lambda: check_receipt(reply, dict.fromkeys(RECEIPT, 1)),
        lambda: read_info(reply),
        lambda: read_update(reply, _SITE, _LAYOUT, classes=2, bins=2),
        lambda: read_evaluation(reply, 4, classes=2, bins=2),
    ):
        try:
            read()
        except BadReply as error:
            assert len(str(error)) < 400  # noqa: PT017 - one of many
            assert str(error).isprintable()  # noqa: PT017
            assert "EVIL" not in str(error)  # noqa: PT017
