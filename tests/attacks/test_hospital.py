"""A hospital that was let in and lies: each test is one lie, told to a federation in this process."""

import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, Message, MetricRecord, RecordDict
from flwr.superlink.grid import http_grid
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.receipt import RECEIPT
from common.security.enrolment import make_enrolment_request
from server.flower.reply_size import bound_replies
from server.members.registry import Registry
from server.rounds.courier import Member, Transport
from server.rounds.grid_transport import GridTransport
from server.rounds.reply_checks import BadReply, SiteInfo, check_receipt, read_evaluation, read_info, read_update
from server.rounds.roster import Roster
from server.runs.reading import view_run
from server.runs.recorder import RunRecorder
from server.runs.run_display import draw_run
from server.runs.run_folder import RunFolder
from server.runs.run_naming import reserve_run, unfinished
from tests.server.coordinator import Coordinator, new_key
from tests.server.rounds.hospitals_in_process import (
    Arrivals,
    Hospital,
    InProcessTransport,
    RecordingObserver,
    UnsteadyHospital,
    federate,
)
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
    "long list": {"train": says("metrics", num_examples=[1919191919] * 250_000)},
    "long loss": {"train": says("metrics", score_loss=[1919191919.0] * 250_000)},
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
        for trace in (b"EVIL", b"1919191919", b"\\u001b", b"9/9"):
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


@pytest.mark.timeout(60)
def test_a_reply_of_hundreds_of_objects_is_not_pulled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flower pulls into memory whatever a hospital uploaded."""
    monkeypatch.setattr(http_grid, "pull_objects", http_grid.pull_objects)  # to be put back
    bound_replies(tail_bytes=12)
    superlink = SuperLinkInProcess()
    nodes = [superlink.node() for _ in range(2)]
    transport: Transport = GridTransport(superlink.grid)
    ids = list(transport.push_messages([superlink.question(node) for node in nodes]))
    superlink.answer_with(nodes[0], "hundreds of objects")
    superlink.answer(nodes[1], whole=True)
    assert answered(transport, ids, 2) == {ids[0]: "its reply is too large", ids[1]: ""}
    assert superlink.pulled < 10


HONEST = {1: "east", 2: "north", 3: "west"}
MANY = 2 * 10**9


def declares(**counts: int) -> Mapping[str, Callable[[Message], Message]]:
    """Return the lies of a hospital that declares numbers of images, and replies accordingly."""
    trained = {"num_examples": counts["train_images"]} if "train_images" in counts else {}
    images = counts.get("validation_images", 4)
    score = {
        "score_confusion": [images // 2, 0, 0, images // 2],
        "score_histogram": [images // 2, 0, 0, images // 2] * 2,
    }
    # It likes the tail that the second round starts from best.
    losses = {2: 0.0}

    def trains(reply: Message) -> Message:
        number = messages.read_int(reply.content, messages.ROUND)
        return says("metrics", score_loss=losses.get(number, 2.0), **trained, **score)(reply)

    tests = says("metrics", score_loss=2.0, **score)
    return {"query": says("metrics", **counts), "train": trains, "evaluate": tests}


def test_a_hospital_that_declares_two_thousand_million_images_does_not_own_the_average() -> None:
    honest = [Hospital(node, name) for node, name in HONEST.items()]
    liar = Liar(100, "south", **declares(train_images=MANY))
    changes = {"federation.rounds": 1, "federation.largest_norm": 0}
    result = federate(*honest, liar, changes=changes)
    (report,) = result.rounds
    assert report.sites["south"].images == MANY
    assert {name: site.weight for name, site in report.sites.items()} == {"south": 50} | dict.fromkeys(
        HONEST.values(), 10
    )
    assert result.tail.tolist() == pytest.approx([(10 * (1 + 2 + 3) + 50 * 100) / 80] * 3)
    # Of two, the lower one is the median.
    alone = federate(Hospital(1, "east"), Liar(100, "south", **declares(train_images=MANY)), changes=changes)
    assert alone.rounds[0].sites["south"].weight == 50


@pytest.mark.parametrize("rule", ["best", "smoothed", "one-se"])
def test_a_hospital_that_declares_two_thousand_million_images_does_not_choose_the_round(rule: str) -> None:
    losses = [0.9, 0.9, 0.8, 0.3, 0.2]
    changes = {"federation.rounds": 4, "federation.select": rule, "federation.largest_norm": 0}
    changes |= {"federation.largest_weight": 1}
    honest = [UnsteadyHospital(node, name, [4 * loss for loss in losses]) for node, name in HONEST.items()]
    liar = Liar(4, "south", **declares(validation_images=MANY))
    chosen = federate(*honest, changes=changes).selected_round
    assert chosen == 4
    assert federate(*honest, liar, changes=changes).selected_round == chosen


def test_no_loss_is_so_large_that_one_hospital_decides_alone() -> None:
    liar = Liar(4, "south", train=says("metrics", score_loss=1e29))
    result = federate(Hospital(1, "east"), liar)
    assert result.rounds[1].failures == {"south": "score-loss is 1e+29"}


def test_a_hospital_that_declares_far_more_than_was_confirmed_is_left_out() -> None:
    observer = RecordingObserver()
    told = {1: 18, 2: 12, 3: 11}  # each declares 18
    members = [Member(node, name=HONEST[node], images=told[node]) for node in HONEST]
    hospitals = [Hospital(node, name) for node, name in HONEST.items()]
    federate(*hospitals, present=lambda: members, observer=observer)
    assert observer.taking_part == [["east", "north"]]
    assert observer.left_out["west"].startswith("declares 18 images, 11 were confirmed: ")


class SilentTransport(InProcessTransport):
    """Has one node never answer messages of one kind."""

    def __init__(self, *hospitals: Hospital, node: int, kind: str) -> None:
        super().__init__(*hospitals)
        self._silent, self._node, self._kind = set[str](), node, kind
        self.asked: list[tuple[int, str]] = []

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        listed = list(messages)
        ids = super().push_messages(listed)
        self.asked += [(message.metadata.dst_node_id, message.metadata.message_type) for message in listed]
        if any(seen == (self._node, self._kind) for seen in self.asked):
            found = zip(listed, ids, strict=True)
            self._silent |= {each for message, each in found if self._is_silent(message)}
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        return super().pull_messages([each for each in message_ids if each not in self._silent])

    def _is_silent(self, message: Message) -> bool:
        return (message.metadata.dst_node_id, message.metadata.message_type) == (self._node, self._kind)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("comes", [0, 1])
def test_a_newcomer_that_never_introduces_itself_holds_nobody_up(comes: int) -> None:
    hospitals = [Hospital(1, "north"), Hospital(3, "south")]
    transport = SilentTransport(*hospitals, node=3, kind="query")
    arrivals = Arrivals(*hospitals, online={0: {1}} if comes else {})
    changes = {"federation.rounds": 4, "federation.wait_seconds": 0.2}  # and `round_seconds` is an hour
    result = federate(*hospitals, transport=transport, changes=changes, present=arrivals, observer=arrivals)
    assert [list(report.sites) for report in result.rounds] == [["north"]] * 4
    assert transport.asked.count((3, "query")) == 1


@pytest.mark.timeout(30)
def test_a_hospital_with_a_new_key_is_asked_at_its_new_node_in_the_running_round() -> None:
    """Its old node never answers: whoever held that key is gone, or is somebody else."""
    nodes = {"south": 3}
    hospitals = [Hospital(1, "north"), Hospital(3, "south"), Hospital(9, "south")]
    transport = SilentTransport(*hospitals, node=3, kind="train")

    def locate(member: Member) -> Member:
        nodes["south"] = 9 if (3, "train") in transport.asked else 3
        return member if member.name == "north" else Member(nodes["south"], name="south")

    result = federate(
        *hospitals,
        transport=transport,
        present=lambda: [Member(1, name="north"), Member(nodes["south"], name="south")],
        locate=locate,
    )
    assert [list(report.sites) for report in result.rounds] == [["north", "south"]] * 2
    assert result.tail.tolist() == [(1 + 9) / 2 * 2] * 3
    assert transport.asked.count((9, "train")) == 2


@pytest.mark.timeout(30)
@pytest.mark.parametrize("answers", [True, False])
def test_a_hospital_that_is_shut_out_is_out_of_the_running_round(answers: bool) -> None:
    hospitals = [Hospital(1, "north"), Hospital(3, "south")]
    transport = SilentTransport(*hospitals, node=0 if answers else 3, kind="train")
    observer = RecordingObserver()

    def locate(member: Member) -> Member | None:
        return None if member.name == "south" and (3, "train") in transport.asked else member

    def present() -> list[Member]:
        members = [Member(1, name="north"), Member(3, name="south")]
        return [member for member in members if locate(member)]

    result = federate(*hospitals, transport=transport, present=present, locate=locate, observer=observer)
    assert [list(report.sites) for report in result.rounds] == [["north"]] * 2
    assert result.rounds[0].failures == {"south": "was shut out, or its key was replaced"}
    assert result.rounds[1].failures == {}
    assert result.tail.tolist() == [2.0] * 3


def test_a_damaged_record_harms_no_other_hospital(tmp_path: Path) -> None:
    coordinator = Coordinator(tmp_path)
    coordinator.hospitals.append({"name": "centre"})
    coordinator.provision()
    superlink, registry = SuperLinkInProcess(), Registry(coordinator.folder)
    nodes = {name: superlink.node() for name in ("centre", "east", "west")}
    for name, node in nodes.items():
        registry.approve(make_enrolment_request(name, new_key()), images=7)
        registry.note_node(name, node)
    roster = Roster(coordinator.folder, superlink.grid)
    assert roster.present() == [Member(node, name=name, images=7) for name, node in nodes.items()]
    (coordinator.folder.hospitals / "centre.json").write_text('{"name": "\x1b[2J"')
    registry.revoke("east")
    assert roster.present() == [Member(nodes["west"], name="west", images=7)]
    assert [roster.locate(Member(node, name=name)) is None for name, node in nodes.items()] == [True, True, False]
    registry.approve(make_enrolment_request("west", new_key()))
    assert roster.locate(Member(nodes["west"], name="west")) == Member(nodes["west"], name="west")
    registry.note_node("west", 12)
    assert roster.locate(Member(nodes["west"], name="west")) == Member(12, name="west", images=7)
    assert roster.absent() == ["west"]


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
