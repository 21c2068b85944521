"""Looks at how large a reply is before it is pulled: Flower pulls into memory whatever a hospital sends.

The SuperLink says of which objects a reply consists, not how large they are; the gateway takes none above 8 MiB. So
their number bounds the reply. When what is replaced here has moved in Flower, tests/server/flower/test_flower_seam.py
fails.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from flwr.common.constant import FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE
from flwr.supercore.inflatable.inflatable_utils import pull_objects
from flwr.superlink.grid import http_grid

# Message, content, three records, an array, and room for what a later rarefed tells.
_BESIDE_CHUNKS = 16


class ReplyTooLarge(ValueError):  # noqa: N818 - what happened
    """A reply consists of more objects than any that was asked for."""


def bound_replies(tail_bytes: int) -> None:
    """Have Flower's Grid pull no reply that is much larger than an update of a tail.

    Parameters
    ----------
    tail_bytes : int
        Size of the tail as it travels.
    """
    chunks = -(-tail_bytes // FLWR_PRIVATE_MAX_ARRAY_CHUNK_SIZE)
    http_grid.pull_objects = partial(  # type: ignore[attr-defined]
        _pull_bounded, 2 * chunks + _BESIDE_CHUNKS, pull_objects
    )


def _pull_bounded(largest: int, pull: Callable[..., Any], object_ids: Iterable[str], *args: Any, **kwargs: Any) -> Any:
    listed = list(object_ids)
    if len(listed) > largest:
        raise ReplyTooLarge(f"{len(listed)} objects, {largest} are expected at most")
    return pull(listed, *args, **kwargs)
