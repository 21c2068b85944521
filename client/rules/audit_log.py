"""The audit log: what was asked of this hospital, what it decided and what it sent, in a chain of hashes.

One JSON object per line. Each holds the hash of the line before, so that a changed, inserted or removed line shows.
Lines that were cut off at the end leave no trace in the file itself. So its head, the number and hash of the last
record, stands in a second file, and travels with every answer: the server is a witness.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, Self

from common.errors import InputError, RunError
from common.system.files import is_sha256, write_bytes_atomically
from common.system.foreign_json import parse_json

_FIRST = "0" * 64
_HASH = "hash"
_SURELY_OLD = 3


class Event(StrEnum):
    """The kinds of records in the log."""

    STARTED = "started"
    STOPPED = "stopped"
    REQUEST = "request"
    INTRODUCED = "introduced"
    TRAINED = "trained"
    TESTED = "tested"
    RESENT = "resent"
    REFUSED = "refused"
    FAILED = "failed"
    TORN = "torn-record-removed"


@dataclass(frozen=True)
class AuditHead:
    """The end of an audit log: its number of records and the hash of the last, zeros for none."""

    records: int
    hash: str

    def __str__(self) -> str:
        return f"{self.records}:{self.hash}"

    @classmethod
    def read(cls, text: str) -> Self:
        """Read what `str` wrote; raises `InputError` for anything else."""
        records, _, digest = text.strip().partition(":")
        if not records.isdecimal() or not is_sha256(digest):
            raise InputError(f"{text.strip()!r:.80} is no head of an audit log (RECORDS:HASH, from `audit verify`)")
        return cls(int(records), digest)


class AuditLog:
    """Appends to the log; any number of processes may do so at once.

    Parameters
    ----------
    path : Path
        The file; its folder must exist. Readable by its owner alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head = path.with_suffix(".head")

    def append(self, event: Event, **details: Any) -> AuditHead:
        """Add a record, wait until it is on the disk, and return the new head.

        An error here must stop what was to be logged: nothing may happen that is not written down.

        Parameters
        ----------
        event : Event
            What happened.
        **details
            JSON values.

        Raises
        ------
        RunError
            If the log cannot be written, or its last record cannot be read.
        """
        try:
            with _locked(self._path) as stream:
                head, lost = _resume(stream)
                if lost:
                    head = _write(stream, head, Event.TORN, {"bytes": lost})
                head = _write(stream, head, event, details)
                stream.flush()
                os.fsync(stream.fileno())
                write_bytes_atomically(self._head, f"{head}\n".encode(), mode=0o600)
                return head
        except OSError as error:
            raise RunError(
                f"audit log {self._path} cannot be written ({error.strerror}), and nothing runs without"
            ) from error

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield all records, oldest first and not verified; none if there is no log yet."""
        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            for line in stream:
                yield from _record_in(line)

    def latest(self) -> Iterator[dict[str, Any]]:
        """Yield all records, latest first and not verified; no more of the file is read than is asked for."""
        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            end = stream.seek(0, os.SEEK_END)
            while end:
                start = _end_of_last_line(stream, end - 1)
                stream.seek(start)
                yield from _record_in(stream.read(end - start))
                end = start

    def since(self, moment: datetime) -> Iterator[dict[str, Any]]:
        """Yield the records since a moment, which must have a time zone, the latest first.

        A clock that was once ahead stamped records that would stay young until that time comes: so what lies before
        several old records in a row is old too, whatever time it bears. One old record alone may come from a clock
        that was behind for a moment.
        """
        start, old_in_a_row = _stamp(moment), 0
        for record in self.latest():
            old_in_a_row = old_in_a_row + 1 if str(record.get("time", "")) < start else 0
            if old_in_a_row == _SURELY_OLD:
                return
            if not old_in_a_row:
                yield record

    def verify(self, *witnesses: AuditHead) -> AuditHead:
        """Check the whole chain, and that it goes on from every head that is known from elsewhere.

        Parameters
        ----------
        *witnesses : AuditHead
            Heads that the log once had, such as those that a server was told; that of the second file is always one.

        Returns
        -------
        AuditHead

        Raises
        ------
        InputError
            If a record is not what was written, or records are missing at the end; it names the first such record.
        """
        known = {witness.records: witness for witness in witnesses if witness.records}
        if self._head.exists():
            kept = AuditHead.read(self._head.read_text(errors="replace"))
            known.setdefault(kept.records, kept)
        head = AuditHead(0, _FIRST)
        with self._path.open("rb") if self._path.exists() else io.BytesIO() as stream:
            for number, line in enumerate(stream, start=1):
                head = AuditHead(number, self._verified_hash(line, number, head.hash))
                if known.get(number, head) != head:
                    raise InputError(f"audit log {self._path}: record {number} is another than the one that was told")
        if known and max(known) > head.records:
            first, last = head.records + 1, max(known)
            lost = f"record {last} was" if first == last else f"records {first} to {last} were"
            raise InputError(f"audit log {self._path}: {lost} written, and gone from its end since")
        return head

    def _verified_hash(self, line: bytes, number: int, previous: str) -> str:
        broken = f"audit log {self._path}: record {number}"
        try:
            record = json.loads(line)
            told = record.pop(_HASH)
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
            raise InputError(f"{broken} is no audit record: it was changed or cut") from error
        if record.get("previous") != previous or record.get("record") != number:
            raise InputError(f"{broken} does not follow the one before: records were changed, removed or inserted")
        if told != _hash(record) or line != _line(record, told):
            raise InputError(f"{broken} was changed after it was written")
        return str(told)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[IO[bytes]]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield stream


def _resume(stream: IO[bytes]) -> tuple[AuditHead, int]:
    """Return the end of the log, and how many bytes of a record that a power loss cut were removed from it."""
    content_end = stream.seek(0, os.SEEK_END)
    whole_end = _end_of_last_line(stream, content_end)
    stream.truncate(whole_end)
    if not whole_end:
        return AuditHead(0, _FIRST), content_end
    stream.seek(_end_of_last_line(stream, whole_end - 1))
    try:
        last = parse_json(stream.read(whole_end))
        return AuditHead(int(last["record"]), str(last[_HASH])), content_end - whole_end
    except (ValueError, KeyError, TypeError) as error:
        raise RunError("the audit log's last record is damaged: run `rarefed-hospital audit verify`") from error


def _record_in(line: bytes) -> Iterator[dict[str, Any]]:
    """Yield the record of a line; nothing if it is none, as of a log that was changed."""
    with contextlib.suppress(ValueError):
        if isinstance(record := parse_json(line), dict):
            yield record


def _end_of_last_line(stream: IO[bytes], before: int) -> int:
    """Return the position after the last newline among the first `before` bytes; 0 if there is none."""
    step = 4096
    while before > 0:
        start = max(0, before - step)
        stream.seek(start)
        found = stream.read(before - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        before = start
    return 0


def _write(stream: IO[bytes], head: AuditHead, event: Event, details: dict[str, Any]) -> AuditHead:
    number = head.records + 1
    record = {"record": number, "time": _stamp(datetime.now(UTC)), "event": event, **details, "previous": head.hash}
    digest = _hash(record)
    stream.write(_line(record, digest))
    return AuditHead(number, digest)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _hash(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _line(record: dict[str, Any], digest: str) -> bytes:
    return json.dumps({**record, _HASH: digest}, allow_nan=False).encode() + b"\n"
