"""An active server that wants the hospital's memory: some megabytes on the line become many times as many."""

import gzip
import io
import signal
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Error, RecordDict
from flwr.proto.fab_pb2 import GetFabRequest
from flwr.proto.fleet_pb2 import PullMessagesRequest
from flwr.proto.message_pb2 import ObjectTree
from flwr.supercore.inflatable.inflatable_object import iterate_object_tree
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supernode import fleet_http_connection, start_client_internal
from flwr.supernode.servicer.runtime import runtime_handlers

from client.flower import message_intake
from client.flower.message_intake import MessageIntake
from client.flower.server_answers import UnwelcomeAnswer
from client.rules.audit_log import AuditLog
from client.rules.hospital_file import HospitalFile
from client.rules.policy import LEAST_MESSAGE
from client.runner import runner
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.message_size import WORDS_BYTES, SizeBound
from common.protocol.refusals import Failure, Rule, failure, refusal
from tests.attacks.hostile_server import BUNDLE_DIGEST, HostileServer, one_message
from tests.client.hospital import write_hospital
from tests.client.runner.test_message_handler import NOT_NOW
from tests.common.protocol.crafted_objects import listing, named_often, named_twice

pytestmark = pytest.mark.timeout(60)

MEGABYTE = 2**20
PLAN = TrainingPlan.from_flat({})
TOO_LARGE = refusal(Rule.MEGABYTES_PER_ROUND)


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> list[SizeBound]:
    """A SuperNode's process, with a bound that a test may lower."""
    for module, name in (
        (fleet_http_connection, "FleetHttpClient"),
        (start_client_internal, "pull_objects"),
        (runtime_handlers, "pull_object"),
    ):
        monkeypatch.setattr(module, name, getattr(module, name))  # to be put back
    current = [LEAST_MESSAGE]
    MessageIntake(lambda: current[0]).install()
    return current


def hospital(folder: Path, **rules: Any) -> HospitalFile:
    given = {"apps": [BUNDLE_DIGEST], "families": ["efficientnet_lite0"], "hours": NOT_NOW, **rules}
    return write_hospital(folder, folder, rules=given)


def last_record(victim: HospitalFile) -> dict[str, Any]:
    return next(AuditLog(victim.audit_log).latest())


def content(tail: np.ndarray[Any, Any] | None = None) -> RecordDict:
    words: dict[str, int | str] = {messages.FEDERATION: "f", messages.ROUND: 1}
    return messages.request_content(PLAN, words, np.arange(MEGABYTE, dtype=np.float32) if tail is None else tail)


def assert_too_large(victim: HospitalFile, server: HostileServer) -> None:
    reply = one_message(server, victim)
    assert isinstance(reply, Error)
    assert reply.reason == TOO_LARGE
    told = last_record(victim)
    assert (told["event"], told["rule"], told["app"]) == ("refused", Rule.MEGABYTES_PER_ROUND.value, BUNDLE_DIGEST)


@pytest.mark.usefixtures("bound")
def test_a_message_of_the_usual_kind_is_read_whole(tmp_path: Path) -> None:
    victim = hospital(tmp_path)
    with HostileServer(content()) as server:
        reply = one_message(server, victim)
    assert isinstance(reply, Error)
    assert reply.reason == refusal(Rule.HOURS), "the last of the rules that look at a message alone"
    assert last_record(victim)["bytes_received"] > 4 * MEGABYTE


@pytest.mark.usefixtures("bound")
def test_a_heartbeat_that_is_late_interrupts_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, interrupted = runner.make_task_heartbeat_fn_http, []

    def late(client: RuntimeHttpClient) -> Callable[[], bool]:
        beat = make(client)
        return lambda: time.sleep(1) or beat()

    monkeypatch.setattr(runner, "make_task_heartbeat_fn_http", late)
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.append(True))
    try:
        with HostileServer(content()) as server:
            one_message(server, hospital(tmp_path))
            time.sleep(1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not interrupted


@pytest.mark.usefixtures("bound")
@pytest.mark.parametrize("what", ["array", "record", "records"])
def test_a_message_that_names_one_part_again_and_again_is_not_put_together(tmp_path: Path, what: str) -> None:
    """A chunk of 5 MiB that was named 400 times took 4.7 GiB."""
    record = ArrayRecord({"tail": Array(np.arange(MEGABYTE, dtype=np.float32))})
    held: dict[str, Array | ArrayRecord | RecordDict] = {"array": record["tail"], "record": record}
    held["records"] = RecordDict({"arrays": record})
    with HostileServer(RecordDict({"arrays": record})) as server:
        server.replace(held[what].object_id, named_often(held[what], 60))
        assert_too_large(hospital(tmp_path), server)
    assert server.pulled < 6 * MEGABYTE


@pytest.mark.usefixtures("bound")
def test_arrays_that_are_listed_and_not_named_are_not_put_together(tmp_path: Path) -> None:
    """Flower puts together what an object lists before it looks at what it names."""
    record = ArrayRecord({"tail": Array(np.arange(MEGABYTE, dtype=np.float32))})
    arrays = named_twice(record["tail"], 20)
    with HostileServer(RecordDict({"arrays": record})) as server:
        server.objects |= arrays
        server.replace(record.object_id, listing(arrays))
        # Each once, or the SuperNode does not look further.
        others = {each.object_id for each in iterate_object_tree(server.tree)} - {server.tree.object_id}
        parts = [ObjectTree(object_id=each) for each in others]
        server.tree = ObjectTree(object_id=server.tree.object_id, children=parts)
        assert_too_large(hospital(tmp_path), server)
    assert server.pulled < 6 * MEGABYTE


@pytest.mark.usefixtures("bound")
def test_a_message_of_many_objects_is_not_pulled(tmp_path: Path) -> None:
    arrays = {f"{number}": Array(np.full(1, number, np.float32)) for number in range(60)}
    with HostileServer(RecordDict({"arrays": ArrayRecord(arrays)})) as server:
        assert_too_large(hospital(tmp_path), server)
    assert server.pulled == 0


@pytest.mark.usefixtures("bound")
def test_a_tree_that_doubles_with_each_of_its_levels_is_not_written_out(tmp_path: Path) -> None:
    """Flower writes an object's parts out wherever it is named: 40 levels of two are a million million objects."""
    with HostileServer(content()) as server:
        tree = ObjectTree(object_id="0" * 64)
        for level in range(1, 40):
            other = ObjectTree(object_id=f"{1000 + level:064}", children=[ObjectTree(object_id=f"{level - 1:064}")])
            tree = ObjectTree(object_id=f"{level:064}", children=[tree, other])
        server.tree.children.append(tree)
        assert_too_large(hospital(tmp_path), server)


def test_a_message_of_more_bytes_than_the_rule_allows_is_not_pulled_to_its_end(
    tmp_path: Path, bound: list[SizeBound], capfd: pytest.CaptureFixture[str]
) -> None:
    bound[0] = SizeBound.of(MEGABYTE)
    with HostileServer(content(np.arange(4 * MEGABYTE, dtype=np.float32))) as server:
        assert_too_large(hospital(tmp_path), server)
    assert server.pulled < 16 * MEGABYTE
    assert "a message is given up: more than" in capfd.readouterr().err


@pytest.mark.usefixtures("bound")
def test_an_object_larger_than_flower_makes_any_is_not_read(tmp_path: Path) -> None:
    with HostileServer(content()) as server:
        (chunk,) = (each for each, its in server.objects.items() if its.startswith(b"ArrayChunk"))
        server.replace(chunk, b"ArrayChunk  %d\x00" % (8 * MEGABYTE) + bytes(8 * MEGABYTE))
        assert_too_large(hospital(tmp_path), server)


@pytest.mark.usefixtures("bound")
def test_a_megabyte_of_words_is_too_large(tmp_path: Path) -> None:
    with HostileServer(RecordDict({"config": ConfigRecord({"a": "x" * WORDS_BYTES})})) as server:
        assert_too_large(hospital(tmp_path), server)


@pytest.mark.usefixtures("bound")
def test_a_message_that_cannot_be_put_together_is_answered(tmp_path: Path) -> None:
    """The SuperNode waited for the reply to it for ever."""
    victim = hospital(tmp_path)
    with HostileServer(content()) as server:
        (array,) = (each for each, its in server.objects.items() if its.startswith(b"Array "))
        server.replace(array, server.objects[array].replace(b'"arraychunk_ids": [0]', b'"arraychunk_ids": [7]'))
        reply = one_message(server, victim)
    assert isinstance(reply, Error)
    assert reply.reason == failure(Failure.BAD_MESSAGE)
    assert last_record(victim)["failure"] == Failure.BAD_MESSAGE.value


def bomb(kind: int, *, size: int = 4 * MEGABYTE, told: int = 0, files: int = 1) -> bytes:
    """Return a zip of files of so many bytes, which may tell other sizes of them."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", kind) as archive:
        for number in range(files):
            archive.writestr("pyproject.toml" if not number else f"{number}", bytes(size // files))
    true = (size // files).to_bytes(4, "little")
    return stream.getvalue().replace(true, told.to_bytes(4, "little")) if told else stream.getvalue()


BUNDLES = {
    "a large file": (bomb(zipfile.ZIP_DEFLATED), "larger unpacked"),
    "many files": (bomb(zipfile.ZIP_DEFLATED, files=40), "larger unpacked"),
    "a lie": (bomb(zipfile.ZIP_DEFLATED, told=1000), "larger unpacked"),
    "a small lie": (bomb(zipfile.ZIP_DEFLATED, told=1000, size=2000), "than it tells"),
    "another lie": (bomb(zipfile.ZIP_BZIP2, told=1000), "unusual"),
    "another": (bomb(zipfile.ZIP_LZMA), "unusual"),
    "no zip": (b"no zip", "is no zip"),
}


@pytest.mark.usefixtures("bound")
@pytest.mark.parametrize("which", BUNDLES)
def test_a_bundle_that_is_a_bomb_is_not_opened(which: str) -> None:
    """Flower reads the bundle's one file before any hash is compared."""
    with HostileServer(content()) as server:
        server.bundle, words = BUNDLES[which]
        assert len(server.bundle) < MEGABYTE
        client = fleet_http_connection.FleetHttpClient.from_server_address(server.address, True, None, [])
        with client, pytest.raises(UnwelcomeAnswer, match=words):
            client.GetFab(GetFabRequest())


BOMBS = {
    "gzip": ({"content-encoding": "gzip"}, gzip.compress(bytes(50 * MEGABYTE))),
    "two encodings": ({"content-encoding": "gzip, deflate"}, b"x"),
    "length": ({}, bytes(2 * MEGABYTE)),
    "redirect": ({"status": "307", "location": "http://127.0.0.1:1/"}, b""),
}


@pytest.mark.usefixtures("bound")
@pytest.mark.parametrize("bomb", BOMBS)
def test_an_answer_that_is_none_of_flowers_is_not_unpacked(bomb: str) -> None:
    """The SuperNode asked for gzip: 1.9 MB took 3.9 GiB."""
    with HostileServer(content()) as server:
        server.answers["pull-messages"] = BOMBS[bomb]
        client = fleet_http_connection.FleetHttpClient.from_server_address(server.address, True, None, [])
        with client, pytest.raises((UnwelcomeAnswer, httpx.HTTPStatusError)) as raised:
            client.PullMessages(PullMessagesRequest())
    assert {"redirect": "Redirect response", "length": "more than"}.get(bomb, "compressed") in str(raised.value)


def test_a_supernode_without_memory_ends_and_is_started_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(BaseException):
        pass

    def end(code: int) -> None:
        raise Ended

    def no_memory(object_id: str) -> bytes:
        raise MemoryError

    monkeypatch.setattr(message_intake.os, "_exit", end)
    with pytest.raises(Ended):
        MessageIntake(lambda: LEAST_MESSAGE).pull(["a"], no_memory)
