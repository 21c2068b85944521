import json
import multiprocessing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from client.rules import audit_log
from client.rules.audit_log import AuditLog, Event
from common.errors import InputError, RunError


def fill(path: Path, count: int = 5) -> AuditLog:
    log = AuditLog(path)
    for number in range(count):
        log.append(Event.REQUEST, run=str(number), kind="train")
    return log


def test_a_chain_of_records_verifies(tmp_path: Path) -> None:
    log = fill(tmp_path / "audit.jsonl")
    head = log.verify()
    assert head.records == 5
    assert [record["run"] for record in log.records()] == list("01234")
    assert (tmp_path / "audit.jsonl").stat().st_mode & 0o777 == 0o600
    log.append(Event.TRAINED)
    assert log.verify().hash != head.hash


def test_no_log_yet_is_an_empty_chain(tmp_path: Path) -> None:
    assert AuditLog(tmp_path / "audit.jsonl").verify().records == 0


def test_any_flipped_byte_names_its_record(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = fill(path)
    whole = path.read_bytes()
    ends = [index for index, byte in enumerate(whole) if byte == ord("\n")]
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        record = sum(end < position for end in ends) + 1
        # A newline that vanished joins two records; one that appears cuts one.
        with pytest.raises(InputError, match=rf"record {record}\b"):
            log.verify()


@pytest.mark.parametrize("change", ["remove", "swap", "insert"])
def test_records_that_were_moved_are_noticed(tmp_path: Path, change: str) -> None:
    path = tmp_path / "audit.jsonl"
    log = fill(path)
    lines = path.read_bytes().splitlines(keepends=True)
    if change == "remove":
        del lines[2]
    elif change == "swap":
        lines[2], lines[3] = lines[3], lines[2]
    else:
        lines.insert(2, lines[1])
    path.write_bytes(b"".join(lines))
    with pytest.raises(InputError, match="record 3 does not follow"):
        log.verify()


def test_a_record_that_a_power_loss_cut_is_replaced_by_word_of_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = fill(path)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"record": 6, "ti')
    with pytest.raises(InputError, match="record 6"):
        log.verify()
    log.append(Event.TRAINED)
    assert [record["event"] for record in log.records()][-2:] == ["torn-record-removed", "trained"]
    assert log.verify().records == 7
    assert path.read_bytes().startswith(whole)


@pytest.mark.parametrize("damaged", [b'{"record": 5, "ev', b"[" * 100_000], ids=["cut", "nested without end"])
def test_a_damaged_last_record_stops_everything(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "audit.jsonl"
    log = fill(path)
    path.write_bytes(path.read_bytes()[:-20] + b"\n" + damaged + b"\n")
    with pytest.raises(RunError, match="audit verify"):
        log.append(Event.TRAINED)


def test_a_log_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="nothing runs without"):
        AuditLog(tmp_path / "absent" / "audit.jsonl").append(Event.REQUEST)


def test_records_of_the_last_day_come_latest_first(tmp_path: Path) -> None:
    log = fill(tmp_path / "audit.jsonl")
    now = datetime.now(UTC)
    assert [record["record"] for record in log.since(now - timedelta(days=1))] == [5, 4, 3, 2, 1]
    assert list(log.since(now + timedelta(minutes=1))) == []


def test_the_latest_records_come_first_whatever_their_length(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.jsonl")
    for length in (1, 5000, 10, 20_000):
        log.append(Event.REQUEST, word="x" * length)
    with (tmp_path / "audit.jsonl").open("a") as stream:
        stream.write("5\n" + "[" * 100_000 + "\nno record")
    assert [record["record"] for record in log.latest()] == [4, 3, 2, 1]
    with pytest.raises(InputError, match="record 5 is no audit record"):
        log.verify()


def log_at(path: Path, days: list[float], monkeypatch: pytest.MonkeyPatch) -> AuditLog:
    """Return a log whose records were written when the clock was so many days from now."""
    for moment in [datetime.now(UTC) + timedelta(days=each) for each in days]:
        monkeypatch.setattr(audit_log, "datetime", type("Clock", (datetime,), {"now": lambda zone, at=moment: at}))
        AuditLog(path).append(Event.REQUEST)
    monkeypatch.undo()
    return AuditLog(path)


def records_of_a_day(log: AuditLog) -> list[int]:
    return [record["record"] for record in log.since(datetime.now(UTC) - timedelta(days=1))]


def test_a_clock_that_was_once_ahead_keeps_no_record_young(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_at(tmp_path / "audit.jsonl", [400, -3, -3, -2], monkeypatch)
    assert records_of_a_day(log) == []
    log.append(Event.REQUEST)
    assert records_of_a_day(log) == [5]


def test_a_clock_that_was_behind_for_a_moment_hides_no_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = log_at(tmp_path / "audit.jsonl", [-9, -8, -7, -0.2, -0.1, -40, 0], monkeypatch)
    assert records_of_a_day(log) == [7, 5, 4]


def test_records_cut_off_at_the_end_are_missed(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    log = fill(path)
    told = log.verify()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:3]))
    with pytest.raises(InputError, match=r"records 4 to 5 were written, and gone from its end since"):
        log.verify()
    path.with_suffix(".head").unlink()
    assert log.verify().records == 3, "who cuts both files leaves no trace in them"
    with pytest.raises(InputError, match=r"records 4 to 5 were written, and gone from its end since"):
        log.verify(told)
    log.append(Event.TRAINED)
    log.append(Event.TRAINED)
    with pytest.raises(InputError, match="record 5 is another than the one that was told"):
        log.verify(told)
    path.write_bytes(path.read_bytes()[: path.read_bytes().rindex(b"{")])
    with pytest.raises(InputError, match="record 5 was written, and gone from its end since"):
        log.verify()


def _append(path: Path) -> None:
    for _ in range(20):
        AuditLog(path).append(Event.REQUEST, process=multiprocessing.current_process().name)


def test_processes_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    processes = [multiprocessing.get_context("fork").Process(target=_append, args=(path,)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert AuditLog(path).verify().records == 60
    assert len({json.loads(line)["process"] for line in path.read_text().splitlines()}) == 3
