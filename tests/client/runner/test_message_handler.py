"""What leaves in answer to a message, and which records the audit log holds of it, for every way that it can end."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import ConfigRecord, Error, Message, MetricRecord, RecordDict
from numpy.typing import NDArray

from client.exposure.plan_approval import AskedPlans
from client.exposure.tail_origin import InitialTail
from client.flower.serialization import size_of
from client.rules.audit_log import AuditHead, AuditLog, Event
from client.rules.hospital_file import HospitalFile
from client.rules.policy import HospitalFailure, Refusal
from client.runner.kept_replies import KeptReplies
from client.runner.message_handler import FAILED, REFUSED, MessageHandler
from common.errors import RunError
from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.receipt import receipt_of
from common.protocol.refusals import Failure, Rule
from tests.client.hospital import write_hospital
from tests.client.rules.test_policy import bundle

BUNDLE = bundle()
DIGEST = hashlib.sha256(BUNDLE).hexdigest()
PLAN = TrainingPlan.from_flat({"exchange.score_bins": 4})
TAIL = np.arange(3, dtype=np.float32)
INITIAL = InitialTail(TailLayout(("weight",), ((3,),)), TAIL)
PATIENT = "/data/MUELLER_ANNA.dcm"
_LATER = (datetime.now().hour + 6) % 24
NOT_NOW = [f"{_LATER:02}:00-{_LATER:02}:30"]
SCORE: dict[str, Any] = {
    messages.SCORE_LOSS: 0.7,
    messages.SCORE_CONFUSION: [1, 0, 1, 1],
    messages.SCORE_HISTOGRAM: [1, 1, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1],
    messages.SCORE_AREAS: [0.75],
}
METRICS: dict[str, dict[str, Any]] = {
    "query": {messages.TRAIN_IMAGES: 10, messages.VALIDATION_IMAGES: 2, messages.TEST_IMAGES: 4},
    "train": {messages.IMAGES: 10, messages.TRAIN_LOSS: 0.5, **SCORE},
    "evaluate": SCORE,
}
IDENTITY = {messages.NAME: "north", messages.VERSION: "0.1.0", messages.TRUNK_DIGEST: "a" * 64}


class Hospital:
    """One whose training process is a list of what it was asked.

    Parameters
    ----------
    folder : Path
        Of its file and its state.
    raised : Exception or None
        What its computation raises.
    metrics : dict
        Put beside, or in place of, those of an honest reply.
    rules
        Changes of its rules.
    """

    def __init__(
        self, folder: Path, raised: Exception | None = None, metrics: dict[str, Any] | None = None, **rules: Any
    ) -> None:
        given = {"apps": [DIGEST], "families": ["efficientnet_lite0"], "least_images": 5, "suppress_below": 0, **rules}
        self.file: HospitalFile = write_hospital(folder, folder, rules=given)
        self.log = AuditLog(self.file.audit_log)
        self.computed: list[tuple[str, float]] = []
        self._raised = raised
        self._metrics = metrics or {}

    def compute(self, message: Message, seconds: float) -> RecordDict:
        kind = message.metadata.message_type
        assert self.events()[-1] == Event.REQUEST, "nothing is computed that the audit log does not know of"
        self.computed.append((kind, seconds))
        if self._raised:
            raise self._raised
        words = receipt_of(message.content[messages.CONFIG]) | (IDENTITY if kind == "query" else {})
        reply = RecordDict(
            {
                messages.METRICS: MetricRecord(METRICS[kind] | self._metrics),
                messages.CONFIG: ConfigRecord({**words}),
            }
        )
        if kind == "train":
            reply[messages.ARRAYS] = messages.tail_record(TAIL / 3)
        return reply

    def answer(self, message: Message, app: bytes = BUNDLE, problem: str | None = None) -> RecordDict | Error:
        return MessageHandler(self.file, self.compute, lambda plan: INITIAL, problem).handle(message, app, 7)

    def records(self) -> list[dict[str, Any]]:
        return list(self.log.records())

    def events(self) -> list[str]:
        return [record["event"] for record in self.records()]


def ask(
    kind: str = "train", plan: TrainingPlan = PLAN, tail: NDArray[np.float32] = TAIL, **words: int | str
) -> Message:
    config: dict[str, int | str] = {messages.FEDERATION: "f1", messages.ROUND: 2, **words}
    content = messages.request_content(plan, config, None if kind == "query" else tail)
    return Message(content, dst_node_id=1, message_type=kind)


def assert_error(answer: RecordDict | Error, code: int, words: str) -> None:
    assert isinstance(answer, Error)
    assert (answer.code, answer.reason) == (code, words)


@pytest.mark.parametrize(
    ("kind", "event"), [("query", Event.INTRODUCED), ("train", Event.TRAINED), ("evaluate", Event.TESTED)]
)
def test_an_allowed_message_is_computed_and_both_are_recorded(tmp_path: Path, kind: str, event: Event) -> None:
    hospital, message = Hospital(tmp_path), ask(kind)
    answer = hospital.answer(message)
    assert isinstance(answer, RecordDict)
    assert dict(answer[messages.METRICS]) == METRICS[kind]
    assert (messages.ARRAYS in answer) == (kind == "train")
    asked, done = hospital.records()
    assert (asked["event"], done["event"]) == (Event.REQUEST, event)
    for record in (asked, done):
        assert (record["run"], record["kind"], record["round"]) == ("7", kind, 2)
        assert (record["app"], record["plan"]) == (DIGEST, PLAN.digest)
        assert record["bytes_received"] == size_of(message.content)
    assert done["bytes_sent"] == size_of(answer)
    assert done["withheld"] == []
    assert done["seconds"] >= 0
    assert done.get("images") == {"query": None, "train": METRICS["train"][messages.IMAGES], "evaluate": 3}[kind]
    assert hospital.log.verify().records == 2


def test_what_the_rules_withhold_is_recorded_and_does_not_leave(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, share=["train_loss"])
    answer = hospital.answer(ask())
    assert isinstance(answer, RecordDict)
    assert not set(SCORE) & set(answer[messages.METRICS])
    assert set(hospital.records()[-1]["withheld"]) == set(SCORE)


def test_the_split_of_a_test_is_recorded(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path)
    hospital.answer(ask("evaluate", **{messages.SPLIT: "test"}))
    assert [record["split"] for record in hospital.records()] == ["test", "test"]


def test_the_computation_gets_no_longer_than_the_server_waits(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path)
    message = ask(plan=PLAN.changed({"federation.round_seconds": 100.0}))
    message.metadata.created_at -= 40
    hospital.answer(message)
    ((_, seconds),) = hospital.computed
    assert 50 < seconds <= 60


def plan(**changes: Any) -> TrainingPlan:
    return PLAN.changed({key.replace("__", "."): value for key, value in changes.items()})


@pytest.mark.parametrize(
    ("rules", "message", "rule"),
    [
        ({"apps": []}, ask(), Rule.APPS),
        ({}, ask(plan=plan(model__family="resnet50")), Rule.FAMILIES),
        ({}, ask(plan=plan(federation__local_epochs=11)), Rule.LOCAL_EPOCHS),
        ({}, ask(plan=plan(federation__rounds=101)), Rule.ROUNDS),
        ({"require": {"update_clip_norm": 1}}, ask(), Rule.CLIP_NORM),
        ({"hours": NOT_NOW}, ask(), Rule.HOURS),
        ({"hours": NOT_NOW}, ask("evaluate"), Rule.HOURS),
    ],
)
def test_a_rule_refuses_before_anything_is_computed(
    tmp_path: Path, rules: dict[str, Any], message: Message, rule: Rule
) -> None:
    hospital = Hospital(tmp_path, **rules)
    assert_error(hospital.answer(message), REFUSED, f"refused by rule {rule.value}")
    assert hospital.computed == []
    (record,) = hospital.records()
    assert (record["event"], record["rule"], record["app"]) == (Event.REFUSED, rule.value, DIGEST)
    # As much of the message as was understood: nothing of one that an unknown app sent.
    assert ("plan" in record) == ("bytes_received" in record) == (rule != Rule.APPS)


def test_an_app_with_code_is_refused(tmp_path: Path) -> None:
    code = bundle("evil.py")
    hospital = Hospital(tmp_path, apps=[hashlib.sha256(code).hexdigest()])
    assert_error(hospital.answer(ask(), code), REFUSED, "refused by rule app_code")
    assert hospital.events() == [Event.REFUSED]


@pytest.mark.parametrize("moment", [float("nan"), float("-inf"), 0.0])
def test_a_message_of_no_time_is_not_computed(tmp_path: Path, moment: float) -> None:
    hospital, message = Hospital(tmp_path), ask()
    message.metadata.created_at = moment
    assert_error(hospital.answer(message), FAILED, "failed: time")
    assert hospital.computed == []


@pytest.mark.parametrize("field", [4, 6, 26], ids=["version", "flags", "name"])
def test_a_crafted_bundle_is_refused_and_recorded(tmp_path: Path, field: int) -> None:
    start = BUNDLE.index(b"PK\x01\x02")  # the first record of the zip's directory
    for value in (0x00, 0x08, 0xFF):
        crafted = bytearray(BUNDLE)
        crafted[start + field : start + field + 4] = bytes([value] * 4)
        hospital = Hospital(tmp_path / f"{value}")
        answer = hospital.answer(ask(), bytes(crafted))
        assert isinstance(answer, Error)
        assert hospital.events() == [Event.REFUSED]


@pytest.mark.parametrize("raised", [ValueError("no rule"), MemoryError(), RunError("no process can be started")])
def test_an_answer_of_our_own_failure_is_recorded_too(tmp_path: Path, raised: Exception) -> None:
    hospital = Hospital(tmp_path, raised)
    assert isinstance(hospital.answer(ask()), Error)
    assert hospital.events() == [Event.REQUEST, Event.FAILED]


def test_the_rounds_of_a_day_are_counted_over_trainings_and_tests(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, rounds_per_day=2)
    hospital.answer(ask("query"))
    hospital.answer(ask())
    hospital.answer(ask("evaluate"))
    assert_error(hospital.answer(ask(**{messages.ROUND: 3})), REFUSED, "refused by rule rounds_per_day")
    assert hospital.events()[-1] == Event.REFUSED
    # Who asks for the same again, or who the hospital is, costs it no work on its images.
    assert isinstance(hospital.answer(ask()), RecordDict)
    assert isinstance(hospital.answer(ask("query")), RecordDict)


def test_a_query_has_hours_too(tmp_path: Path) -> None:
    """To say how many images there are, all of them are decoded."""
    assert_error(Hospital(tmp_path, hours=NOT_NOW).answer(ask("query")), REFUSED, "refused by rule hours")


def test_a_training_ends_with_the_hours(tmp_path: Path) -> None:
    start = datetime.now() - timedelta(hours=1)
    end = datetime.now() + timedelta(minutes=3)
    late = HospitalFailure(Failure.TIME, "too slow")
    hospital = Hospital(tmp_path, raised=late, hours=[f"{start:%H:%M}-{end:%H:%M}"])
    assert_error(hospital.answer(ask()), REFUSED, "refused by rule hours")
    ((_, seconds),) = hospital.computed
    assert 60 < seconds <= 180


def test_work_that_was_begun_counts_and_a_reply_that_is_sent_again_does_not(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, rounds_per_day=2)
    hospital.answer(ask())
    hospital.answer(ask())
    broken = Hospital(tmp_path, raised=HospitalFailure(Failure.CRASH, PATIENT), rounds_per_day=2)
    assert_error(broken.answer(ask("evaluate")), FAILED, "failed: crash")
    assert_error(hospital.answer(ask(**{messages.ROUND: 3})), REFUSED, "refused by rule rounds_per_day")


def test_the_server_is_a_witness_of_the_log(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path)
    answers = [hospital.answer(ask(kind)) for kind in ("query", "train", "train")]
    told = [answer[messages.CONFIG][messages.AUDIT_HEAD] for answer in answers if isinstance(answer, RecordDict)]
    heads = [AuditHead.read(str(each)) for each in told]
    assert [head.records for head in heads] == [2, 4, 6]
    assert hospital.log.verify(*heads) == heads[-1]


@pytest.mark.parametrize(
    ("raised", "metrics", "rules", "rule"),
    [
        (Refusal(Rule.LEAST_IMAGES), {}, {}, Rule.LEAST_IMAGES),
        (None, {messages.IMAGES: 4}, {}, Rule.LEAST_IMAGES),
        (None, {}, {"megabytes_per_round": 1e-6}, Rule.MEGABYTES_PER_ROUND),
    ],
)
def test_a_rule_that_refuses_what_was_computed(
    tmp_path: Path, raised: Exception | None, metrics: dict[str, Any], rules: dict[str, Any], rule: Rule
) -> None:
    hospital = Hospital(tmp_path, raised, metrics, **rules)
    assert_error(hospital.answer(ask()), REFUSED, f"refused by rule {rule.value}")
    assert len(hospital.computed) == 1
    assert hospital.events() == [Event.REQUEST, Event.REFUSED]
    assert "bytes_sent" not in hospital.records()[-1]
    assert not hospital.file.kept_replies.exists()


@pytest.mark.parametrize("kind", Failure)
def test_a_failure_leaves_as_its_kind_alone(tmp_path: Path, kind: Failure, capsys: pytest.CaptureFixture[str]) -> None:
    hospital = Hospital(tmp_path, HospitalFailure(kind, f"cannot read {PATIENT}"))
    assert_error(hospital.answer(ask()), FAILED, f"failed: {kind.value}")
    assert hospital.events() == [Event.REQUEST, Event.FAILED]
    assert hospital.records()[-1]["failure"] == kind.value
    assert PATIENT not in hospital.file.audit_log.read_text()
    assert f"train of run 7: failed ({kind.value}): cannot read {PATIENT}" in capsys.readouterr().err


def test_a_fault_of_rarefed_leaves_as_a_crash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hospital = Hospital(tmp_path, ZeroDivisionError(PATIENT))
    assert_error(hospital.answer(ask()), FAILED, "failed: crash")
    assert hospital.events() == [Event.REQUEST, Event.FAILED]
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_reply_that_the_guard_stops_does_not_leave(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, metrics={"patient": 3})
    assert_error(hospital.answer(ask()), FAILED, "failed: reply")
    assert hospital.events() == [Event.REQUEST, Event.FAILED]
    assert not hospital.file.kept_replies.exists()


def without_plan() -> Message:
    return Message(
        RecordDict({messages.CONFIG: ConfigRecord({messages.ROUND: 1})}), dst_node_id=1, message_type="train"
    )


def of_another_plan() -> Message:
    message = ask()
    message.content[messages.CONFIG][messages.PLAN_DIGEST] = "0" * 64
    return message


@pytest.mark.parametrize(
    "message",
    [
        Message(RecordDict(), dst_node_id=1, message_type="train"),
        without_plan(),
        of_another_plan(),
        Message(ask().content, dst_node_id=1, message_type="train.other"),
    ],
)
def test_a_message_that_cannot_be_used_fails_as_such(tmp_path: Path, message: Message) -> None:
    hospital = Hospital(tmp_path)
    assert_error(hospital.answer(message), FAILED, "failed: bad-message")
    assert hospital.computed == []
    assert hospital.events() == [Event.FAILED]


def test_a_message_that_is_too_old_is_not_computed(tmp_path: Path) -> None:
    hospital, message = Hospital(tmp_path), ask()
    message.metadata.created_at -= PLAN.federation.round_seconds + 1
    assert_error(hospital.answer(message), FAILED, "failed: time")
    assert hospital.computed == []
    assert hospital.events() == [Event.REQUEST, Event.FAILED]


def test_under_a_file_that_cannot_be_read_nothing_is_computed(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path)
    assert_error(hospital.answer(ask(), problem="hospital.yaml:3: is no YAML"), FAILED, "failed: state")
    assert hospital.computed == []
    assert hospital.events() == [Event.FAILED]
    # Its last approved apps still hold.
    assert_error(
        hospital.answer(ask(), b"no zip", problem="hospital.yaml:3: is no YAML"), REFUSED, "refused by rule apps"
    )


def test_the_same_request_gets_the_same_reply_without_work(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path)
    first, again = hospital.answer(ask()), hospital.answer(ask())
    assert isinstance(first, RecordDict)
    assert isinstance(again, RecordDict)
    assert messages.read_tail(again).tobytes() == messages.read_tail(first).tobytes()
    assert dict(again[messages.METRICS]) == dict(first[messages.METRICS])
    assert len(hospital.computed) == 1
    assert hospital.events() == [Event.REQUEST, Event.TRAINED, Event.REQUEST, Event.RESENT]
    assert hospital.records()[-1]["bytes_sent"] == size_of(again)


def test_a_reply_is_sent_again_at_any_hour_but_by_the_rules_as_they_are_now(tmp_path: Path) -> None:
    Hospital(tmp_path).answer(ask())
    stricter = Hospital(tmp_path, hours=NOT_NOW, share=["train_loss"])
    again = stricter.answer(ask())
    assert isinstance(again, RecordDict)
    assert not set(SCORE) & set(again[messages.METRICS])
    assert set(stricter.records()[-1]["withheld"]) == set(SCORE)
    too_large = Hospital(tmp_path, megabytes_per_round=1e-6)
    assert_error(too_large.answer(ask()), REFUSED, "refused by rule megabytes_per_round")
    assert too_large.events()[-2:] == [Event.REQUEST, Event.REFUSED]


def test_an_introduction_is_not_kept(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path)
    hospital.answer(ask("query"))
    hospital.answer(ask("query"))
    assert len(hospital.computed) == 2
    assert not hospital.file.kept_replies.exists()


def test_a_reply_that_cannot_be_kept_leaves_all_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hospital = Hospital(tmp_path)
    hospital.file.kept_replies.write_text("in the way")
    assert isinstance(hospital.answer(ask()), RecordDict)
    assert hospital.events() == [Event.REQUEST, Event.TRAINED]
    assert "could not be kept" in capsys.readouterr().err


@pytest.mark.parametrize("unwritten", [Event.REQUEST, Event.TRAINED, Event.RESENT, Event.REFUSED, Event.FAILED])
def test_nothing_leaves_that_the_audit_log_cannot_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unwritten: Event
) -> None:
    hospital = Hospital(tmp_path)
    if unwritten == Event.RESENT:
        hospital.answer(ask())
    if unwritten in (Event.REFUSED, Event.FAILED):
        hospital = Hospital(
            tmp_path, Refusal(Rule.HOURS) if unwritten == Event.REFUSED else HospitalFailure(Failure.DATA, "")
        )
    computed, append = len(hospital.computed), AuditLog.append

    def fail(log: AuditLog, event: Event, **details: Any) -> None:
        if event == unwritten:
            raise RunError("audit log cannot be written")
        append(log, event, **details)

    monkeypatch.setattr(AuditLog, "append", fail)
    assert_error(hospital.answer(ask()), FAILED, "failed: state")
    assert len(hospital.computed) == computed + (unwritten not in (Event.REQUEST, Event.RESENT))


def test_a_reply_is_kept_once_the_log_tells_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital, kept = Hospital(tmp_path), []
    monkeypatch.setattr(KeptReplies, "keep", lambda self, request, reply: kept.append(hospital.events()))
    hospital.answer(ask())
    assert kept == [[Event.REQUEST, Event.TRAINED]]


def test_a_plan_that_needs_an_approval_waits_for_it(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path, plans="approved")
    assert_error(hospital.answer(ask("query")), REFUSED, "refused by rule plans")
    plans = AskedPlans(hospital.file.plans)
    assert [plan.changes for plan in plans.listed()] == [{"exchange.score_bins": 4}]
    plans.approve(PLAN.digest)
    assert isinstance(hospital.answer(ask("query")), RecordDict)
    assert [record.get("rule") for record in hospital.records()] == [Rule.PLANS, None, None]


def test_a_tail_of_unknown_origin_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    hospital = Hospital(tmp_path)
    assert_error(hospital.answer(ask(plan=PLAN, tail=TAIL + 7)), REFUSED, "refused by rule tails")
    assert hospital.computed == []
    assert hospital.events() == [Event.REFUSED]
