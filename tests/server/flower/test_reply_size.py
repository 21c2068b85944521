"""A reply is weighed before it is pulled and before it is put together."""

from collections.abc import Mapping

import numpy as np
import pytest
from flwr.app import Array
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects, get_object_id
from flwr.superlink.grid import http_grid

from common.protocol.message_size import MessageTooLarge
from server.flower.reply_size import bound_replies
from tests.common.protocol.crafted_objects import named_often

TAIL = np.zeros(3 * 2**20, np.float32)  # three chunks of Flower's


def objects_of(array: Array) -> dict[str, bytes]:
    return {each: one.deflate() for each, one in get_all_nested_objects(array).items()}


@pytest.fixture(autouse=True)
def bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_grid, "pull_objects", http_grid.pull_objects)  # to be put back
    bound_replies(TAIL.nbytes)


def pull(objects: Mapping[str, bytes]) -> dict[str, bytes]:
    found: dict[str, bytes] = http_grid.pull_objects(object_ids=list(objects), pull_object_fn=objects.__getitem__)
    return found


def test_an_update_is_pulled_as_it_is() -> None:
    objects = objects_of(Array(TAIL))
    assert pull(objects) == objects


def test_an_array_that_names_one_piece_again_and_again_is_not_put_together() -> None:
    array = Array(np.arange(2**18, dtype=np.float32))
    objects = objects_of(array)
    crafted = named_often(array, 400)
    del objects[array.object_id]
    assert len(crafted) + sum(map(len, objects.values())) < 2**21
    with pytest.raises(MessageTooLarge, match="put together more than"):
        pull({**objects, get_object_id(crafted): crafted})


def test_large_objects_are_counted_as_they_come() -> None:
    pulled = []

    def large(object_id: str) -> bytes:
        pulled.append(object_id)
        return bytes(8 * 2**20)

    with pytest.raises(MessageTooLarge, match="more than 26214400 bytes"):
        http_grid.pull_objects(object_ids=[str(each) for each in range(20)], pull_object_fn=large)
    assert len(pulled) < 20
