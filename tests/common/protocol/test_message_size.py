"""What a message would be if it were put together, however often its parts name each other."""

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects

from common.protocol.message_size import (
    PIECE_BYTES,
    WORDS_BYTES,
    MessageTooLarge,
    SizeBound,
    check_put_together,
    pull_bounded,
)
from tests.common.protocol.crafted_objects import array_of, listing, named_often, named_twice

MEGABYTE = 2**20
BOUND = SizeBound.of(8 * MEGABYTE)
CONTENT = RecordDict({"arrays": ArrayRecord({"tail": Array(np.arange(MEGABYTE, dtype=np.float32))})})
RECORD = CONTENT["arrays"]
assert isinstance(RECORD, ArrayRecord)
ARRAY = RECORD["tail"]


def objects(content: RecordDict = CONTENT) -> dict[str, bytes]:
    return {each: one.deflate() for each, one in get_all_nested_objects(content).items()}


def test_a_bound_leaves_room_for_what_it_was_made_for() -> None:
    assert SizeBound.of(0).objects > 6
    assert SizeBound.of(10 * PIECE_BYTES).objects - SizeBound.of(0).objects == 10
    check_put_together(SizeBound.of(4 * MEGABYTE + 128), objects())


@pytest.mark.parametrize("held", [ARRAY, RECORD, CONTENT], ids=["array", "record", "records"])
def test_what_names_one_part_again_and_again_is_counted_as_often(held: Array | ArrayRecord | RecordDict) -> None:
    crafted = objects() | {held.object_id: named_often(held, 400)}
    assert sum(map(len, crafted.values())) < 5 * MEGABYTE
    with pytest.raises(MessageTooLarge, match="put together"):
        check_put_together(BOUND, crafted)


def test_arrays_that_are_listed_and_not_named_are_counted_too() -> None:
    """Flower puts them together before it looks at which of them are named."""
    arrays = named_twice(ARRAY, 8)
    crafted = objects() | arrays | {RECORD.object_id: listing(arrays)}
    assert sum(map(len, crafted.values())) < 5 * MEGABYTE
    with pytest.raises(MessageTooLarge, match="put together"):
        check_put_together(BOUND, crafted)


def test_an_array_is_no_piece_of_another() -> None:
    """Flower would take it for one, of the size that it has become."""
    crafted = objects() | {"outer": array_of([ARRAY.object_id], 300)}
    with pytest.raises(ValueError, match="cannot hold: Array"):
        check_put_together(BOUND, crafted)


def test_words_are_counted_apart_from_arrays() -> None:
    """A list of numbers takes ten times its bytes once it is Python's."""
    content = RecordDict({"config": ConfigRecord({"words": "x" * WORDS_BYTES})})
    with pytest.raises(MessageTooLarge, match="beside"):
        check_put_together(BOUND, objects(content))


def test_words_that_are_named_again_and_again_are_counted_as_often() -> None:
    """They are one for Flower, and are written out for each name where a message is written down."""
    content = RecordDict({"config": ConfigRecord({"words": [""] * 100_000})})
    crafted = objects(content) | {content.object_id: named_often(content, 24)}
    assert sum(map(len, crafted.values())) < MEGABYTE
    with pytest.raises(MessageTooLarge, match="beside"):
        check_put_together(BOUND, crafted)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: found.pop(ARRAY.object_id),
        lambda found: found.update({ARRAY.object_id: b"Array  0\x00"}),
        lambda found: found.update({ARRAY.object_id: b"Array  2\x00[]"}),
        lambda found: found.update({ARRAY.object_id: b'Array  24\x00{"arraychunk_ids": [99]}'}),
        lambda found: found.update({ARRAY.object_id: b"Array  9\x00" + b"[" * 100_000}),
        lambda found: found.update({RECORD.object_id: b"ArrayRecord  2\x00[]"}),
        lambda found: found.update({CONTENT.object_id: b"RecordDict  2\x00{}".replace(b"{}", b'{"a": ["b"]}')}),
        lambda found: found.update({CONTENT.object_id: b"no object"}),
        lambda found: found.update({CONTENT.object_id: b"\xff\xff \xff\x00"}),
    ],
)
def test_what_is_no_object_of_flowers_is_said_to_be_none(spoil: Callable[[dict[str, bytes]], object]) -> None:
    found = objects()
    spoil(found)
    with pytest.raises(ValueError):
        check_put_together(BOUND, found)


def test_nobody_is_asked_any_more_once_a_message_is_given_up() -> None:
    """An answer of 401, as after the end of a task, would have Flower interrupt the whole process."""
    slow = threading.Event()
    answered = []

    def ask(object_id: str) -> bytes:
        if object_id == "slow":
            slow.set()
            time.sleep(0.5)
        else:
            assert slow.wait(10)
        answered.append(object_id)
        return bytes(2 * WORDS_BYTES)

    with pytest.raises(MessageTooLarge):
        pull_bounded(SizeBound(3, 0), ["slow", "large"], ask)
    assert sorted(answered) == ["large", "slow"]
