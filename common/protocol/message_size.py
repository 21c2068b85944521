"""Looks at how large a message is before it is pulled, and before it is put together: Flower takes whatever is sent.

A message travels as objects: pieces of arrays, and what names them. The sender says of which objects it consists; their
bytes are counted as they come; and whatever names another object may name it any number of times, each of which Flower
would copy. When what is used here has moved in Flower, the tests of the two sides that use it fail.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from flwr.app import Array, ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from flwr.app.message.arraychunk import ArrayChunk
from flwr.common.constant import FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE
from flwr.supercore.inflatable.inflatable_object import (
    get_object_body,
    get_object_children_ids_from_object_content,
    get_object_type_from_object_content,
)
from flwr.supercore.inflatable.inflatable_utils import pull_objects

PIECE_BYTES = FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE
"""Size of the pieces in which Flower sends an array; only the last one is smaller."""

WORDS_BYTES = 2**20
"""Most of a message beside its arrays: a plan, words, numbers, and room for what a later rarefed tells."""

# How many seconds a question that nobody needs any more may take.
_PATIENCE = 10.0
# Message, content, three records, an array, and room for what a later rarefed tells.
_BESIDE_PIECES = 16


class MessageTooLarge(ValueError):  # noqa: N818 - what happened
    """A message is larger than any that is expected."""


class SizeBound(NamedTuple):
    """How large a message may be.

    Attributes
    ----------
    objects : int
        Of which it consists.
    arrays : int
        Bytes of its arrays, put together.
    """

    objects: int
    arrays: int

    @classmethod
    def of(cls, arrays: int) -> "SizeBound":
        """Return the bound for arrays of so many bytes."""
        return cls(-(-arrays // PIECE_BYTES) + _BESIDE_PIECES, arrays)

    @property
    def whole(self) -> int:
        """Bytes of the whole message."""
        return self.arrays + WORDS_BYTES


def pull_bounded(
    bound: SizeBound, object_ids: Iterable[str], pull_object_fn: Callable[[str], bytes], **settings: Any
) -> dict[str, bytes]:
    """Pull objects like Flower's function of nearly this name, as long as they are no more than expected.

    Parameters
    ----------
    bound : SizeBound
    object_ids : iterable of str
        The objects of one message.
    pull_object_fn : callable
        Returns an object's content; called from several threads.
    **settings
        Of Flower's function.

    Returns
    -------
    dict of str to bytes

    Raises
    ------
    MessageTooLarge
        As soon as they are too many, or too many bytes.
    """
    listed = list(object_ids)
    if len(listed) > bound.objects:
        raise MessageTooLarge(f"{len(listed)} objects, {bound.objects} are expected at most")
    changed = threading.Condition()
    pulled, asked, ended = 0, 0, False

    def pull(object_id: str) -> bytes:
        nonlocal pulled, asked
        with changed:
            if ended:
                raise MessageTooLarge("given up")
            asked += 1
        try:
            content = pull_object_fn(object_id)
        finally:
            with changed:
                asked -= 1
                changed.notify_all()
        with changed:
            pulled += len(content)
            if pulled > bound.whole:
                raise MessageTooLarge(f"more than {bound.whole} bytes")
        return content

    try:
        return pull_objects(listed, pull, **settings)
    finally:
        # Flower leaves threads behind that still ask. Whoever is asked when the task is over answers 401, at which
        # Flower interrupts this whole process. Only a question that is asked again and again may outlast this.
        with changed:
            ended = True
            changed.wait_for(lambda: not asked, _PATIENCE)


def check_put_together(bound: SizeBound, contents: Mapping[str, bytes]) -> None:
    """Check how large objects would be if Flower put them together.

    Parameters
    ----------
    bound : SizeBound
    contents : mapping of str to bytes
        All objects of a message.

    Raises
    ------
    MessageTooLarge
        If all arrays, what one of the others holds of them, or all that is no piece of an array, would be larger than
        expected.
    ValueError
        If one of them is no object of Flower's, or names what is not there.
    """
    try:
        kinds = {each: get_object_type_from_object_content(content) for each, content in contents.items()}
        _check_words(len(contents[each]) for each, kind in kinds.items() if kind != ArrayChunk.__qualname__)
        sizes = {each: len(content) for each, content in contents.items()}
        # Whatever names others, from the smallest to the largest.
        for kind, parts, named in _HOLDERS:
            for holder in [each for each, its in kinds.items() if its == kind.__qualname__]:
                _check_parts(
                    {kinds[each] for each in get_object_children_ids_from_object_content(contents[holder])}, parts
                )
                held = named(contents[holder])
                sizes[holder] = sum(sizes[each] for each in held)
                _check_words(len(contents[each]) for each in held if kinds[each] in _WORDS)
        # Flower puts every array together that any object lists, before it looks at which of them it names.
        arrays = sum(sizes[each] for each, its in kinds.items() if its == Array.__qualname__)
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise ValueError(f"an object is none of Flower's ({type(error).__name__})") from error
    if max([arrays, *sizes.values()]) > bound.whole:
        raise MessageTooLarge(f"put together more than {bound.whole} bytes")


def _check_words(lengths: Iterable[int]) -> None:
    if (size := sum(lengths)) > WORDS_BYTES:
        raise MessageTooLarge(f"{size} bytes beside the pieces of arrays, {WORDS_BYTES} are expected at most")


def _check_parts(found: set[str], expected: Sequence[type]) -> None:
    """Refuse parts of other kinds: Flower takes an array for a piece of another, as often as it is named."""
    if others := found - {kind.__qualname__ for kind in expected}:
        raise ValueError(f"an object holds what it cannot hold: {', '.join(sorted(others))}")


def _pieces(content: bytes) -> list[str]:
    pieces = get_object_children_ids_from_object_content(content)
    return [pieces[place] for place in json.loads(get_object_body(content, Array))["arraychunk_ids"]]


def _named(content: bytes) -> list[str]:
    kind = ArrayRecord if content.startswith(ArrayRecord.__qualname__.encode()) else RecordDict
    return list(json.loads(get_object_body(content, kind)).values())


_HOLDERS: tuple[tuple[type, tuple[type, ...], Callable[[bytes], list[str]]], ...] = (
    (Array, (ArrayChunk,), _pieces),
    (ArrayRecord, (Array,), _named),
    (RecordDict, (ArrayRecord, ConfigRecord, MetricRecord), _named),
)
"""Kinds of objects that hold others, of which kinds those are, and what reads their names."""
_WORDS = (ConfigRecord.__qualname__, MetricRecord.__qualname__)
