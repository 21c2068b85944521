"""Looks at how large a reply is before it is pulled, and before it is put together: Flower takes whatever is sent.

The SuperLink says of how many objects a reply consists; their bytes are counted as they come; and an array may name one
piece of itself any number of times, each of which Flower would copy. When what is replaced here has moved in Flower,
tests/server/flower/test_flower_seam.py fails.
"""

import json
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from flwr.app import Array
from flwr.common.constant import FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE
from flwr.supercore.inflatable.inflatable_object import (
    get_object_body,
    get_object_children_ids_from_object_content,
    get_object_type_from_object_content,
)
from flwr.supercore.inflatable.inflatable_utils import pull_objects
from flwr.superlink.grid import http_grid

# Message, content, three records, an array, and room for what a later rarefed tells.
_BESIDE_CHUNKS, _BESIDE_BYTES = 16, 2**20


class ReplyTooLarge(ValueError):  # noqa: N818 - what happened
    """A reply is much larger than any that was asked for."""


class _Bound(NamedTuple):
    objects: int
    size: int


def bound_replies(tail_bytes: int) -> None:
    """Have Flower's Grid pull no reply that is more than twice as large as an update of a tail.

    Parameters
    ----------
    tail_bytes : int
        Size of the tail as it travels.
    """
    chunks = -(-tail_bytes // FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE)
    bound = _Bound(2 * chunks + _BESIDE_CHUNKS, 2 * tail_bytes + _BESIDE_BYTES)
    http_grid.pull_objects = partial(_pull_bounded, bound)  # type: ignore[attr-defined]


def _pull_bounded(
    bound: _Bound, object_ids: Iterable[str], pull_object_fn: Callable[[str], bytes], **settings: Any
) -> dict[str, bytes]:
    listed = list(object_ids)
    if len(listed) > bound.objects:
        raise ReplyTooLarge(f"{len(listed)} objects, {bound.objects} are expected at most")
    one_at_a_time = threading.Lock()
    pulled = 0

    def pull(object_id: str) -> bytes:
        nonlocal pulled
        content = pull_object_fn(object_id)
        with one_at_a_time:
            pulled += len(content)
            if pulled > bound.size:
                raise ReplyTooLarge(f"more than {bound.size} bytes")
        return content

    contents = pull_objects(listed, pull, **settings)
    if sum(_array_bytes(content, contents) for content in contents.values()) > bound.size:
        raise ReplyTooLarge(f"arrays of more than {bound.size} bytes")
    return contents


def _array_bytes(content: bytes, contents: dict[str, bytes]) -> int:
    """Return how many bytes Flower would put together for an object, if it is an array."""
    if get_object_type_from_object_content(content) != Array.__qualname__:
        return 0
    pieces = get_object_children_ids_from_object_content(content)
    named = json.loads(get_object_body(content, Array))["arraychunk_ids"]
    return sum(len(contents[pieces[place]]) for place in named)
