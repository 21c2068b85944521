"""Has Flower's Grid look at how large a reply is before it is pulled, and before it is put together.

When what is replaced here has moved in Flower, tests/server/flower/test_flower_seam.py fails.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from flwr.superlink.grid import http_grid

from common.protocol.message_size import SizeBound, check_put_together, pull_bounded


def bound_replies(tail_bytes: int) -> None:
    """Have Flower's Grid pull no reply that is more than twice as large as an update of a tail.

    Parameters
    ----------
    tail_bytes : int
        Size of the tail as it travels.
    """
    bound = SizeBound.of(2 * tail_bytes)
    http_grid.pull_objects = partial(_pull_bounded, bound)  # type: ignore[attr-defined]


def _pull_bounded(
    bound: SizeBound, object_ids: Iterable[str], pull_object_fn: Callable[[str], bytes], **settings: Any
) -> dict[str, bytes]:
    contents = pull_bounded(bound, object_ids, pull_object_fn, **settings)
    check_put_together(bound, contents)
    return contents
