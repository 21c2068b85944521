"""What a hostile or broken hospital sends in place of an honest update: each way has a name."""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict

from common.protocol import messages


def spoil(released: Any, request: Any, name: str, folder: Path) -> Any:
    """Return what leaves in place of an honest reply, if `malformed.json` says so for this hospital and round."""
    try:
        ways = json.loads((folder / f"malformed.{name}.json").read_text())
    except (OSError, ValueError):
        return released
    way = ways.get(str(request.config[messages.ROUND]))
    if way is None:
        return released
    content = released.content
    WAYS[way](content)
    return released._replace(content=content)


def _tail(change: Callable[[Any], Any]) -> Callable[[RecordDict], None]:
    def apply(content: RecordDict) -> None:
        content[messages.ARRAYS] = ArrayRecord({messages.TAIL: Array(change(messages.read_tail(content).copy()))})

    return apply


def _first(value: float) -> Callable[[RecordDict], None]:
    def put(tail: Any) -> Any:
        tail[0] = value
        return tail

    return _tail(put)


def _metric(**changes: Any) -> Callable[[RecordDict], None]:
    named = {key.replace("_", "-"): value for key, value in changes.items()}

    def apply(content: RecordDict) -> None:
        metrics = {**dict(content[messages.METRICS].items()), **named}
        content[messages.METRICS] = MetricRecord({key: value for key, value in metrics.items() if value is not None})

    return apply


def _word(**changes: Any) -> Callable[[RecordDict], None]:
    named = {key.replace("_", "-"): value for key, value in changes.items()}

    def apply(content: RecordDict) -> None:
        content[messages.CONFIG] = ConfigRecord({**dict(content[messages.CONFIG].items()), **named})

    return apply


def _raw(data: bytes, dtype: str = "float32", shape: tuple[int, ...] = (3,)) -> Callable[[RecordDict], None]:
    def apply(content: RecordDict) -> None:
        array = Array(dtype=dtype, shape=shape, stype="numpy.ndarray", data=data)
        content[messages.ARRAYS] = ArrayRecord({messages.TAIL: array})

    return apply


def _npy_that_claims(count: int) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": "<f4", "fortran_order": False, "shape": (count,)})
    return stream.getvalue() + b"\0" * 64


def _npy_of_objects() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{"code": "would be unpickled"}], dtype=object), allow_pickle=True)
    return stream.getvalue()


def _drop(*records: str) -> Callable[[RecordDict], None]:
    def apply(content: RecordDict) -> None:
        for record in records:
            del content[record]

    return apply


def _more_arrays(content: RecordDict) -> None:
    tail = messages.read_tail(content)
    content[messages.ARRAYS] = ArrayRecord({messages.TAIL: Array(tail), "more": Array(tail[:3])})


def _more_records(content: RecordDict) -> None:
    content["notes"] = ConfigRecord({"patient": "MUELLER ANNA"})


def _late(content: RecordDict) -> None:
    time.sleep(35)  # longer than `federation.round_seconds` of the test


WAYS: dict[str, Callable[[RecordDict], None]] = {
    "nan": _first(float("nan")),
    "infinity": _first(float("inf")),
    "beyond float": _first(3e38),
    "a hundred times larger": _tail(lambda tail: tail * np.float32(100)),
    "one value, to be broadcast": _tail(lambda tail: tail[:1]),
    "one value short": _tail(lambda tail: tail[:-1]),
    "two dimensions": _tail(lambda tail: tail[None]),
    "float64": _tail(lambda tail: tail.astype(np.float64)),
    "int64": _tail(lambda tail: tail.astype(np.int64)),
    "float16": _tail(lambda tail: tail.astype(np.float16)),
    "zero images": _metric(num_examples=0),
    "negative images": _metric(num_examples=-5),
    "more images than declared": _metric(num_examples=10**6),
    "half an image": _metric(num_examples=0.5),
    "no image count": _metric(num_examples=None),
    "one score missing": _metric(score_loss=None),
    "a loss that is no number": _metric(train_loss=float("nan")),
    "a metric too many": _metric(age=61.0),
    "scores of other images": _metric(score_confusion=[9, 9, 9, 9]),
    "another plan": _word(plan_digest="0" * 64),
    "a replayed round": _word(round=1),
    "another tail": _word(tail_digest="0" * 64),
    "another federation": _word(federation="0" * 32),
    "a word too many": _word(note="MUELLER ANNA"),
    "an array too many": _more_arrays,
    "a record too many": _more_records,
    "no update": _drop(messages.ARRAYS),
    "no metrics": _drop(messages.METRICS),
    "no receipt": _drop(messages.CONFIG),
    "nothing": _drop(messages.ARRAYS, messages.METRICS, messages.CONFIG),
    "bytes that are no array": _raw(b"\x93NUMPY garbage"),
    "two gigabytes claimed": _raw(_npy_that_claims(500_000_000), shape=(500_000_000,)),
    "a pickle": _raw(_npy_of_objects(), dtype="object", shape=(1,)),
    "too late": _late,
}
