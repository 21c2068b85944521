"""Objects as Flower sends them, crafted to become far more than they are."""

import json
from collections.abc import Iterable, Mapping

from flwr.app import Array, ArrayRecord, RecordDict
from flwr.supercore.inflatable.inflatable_object import add_header_to_object_body, get_object_body, get_object_id


def named_often(held: Array | ArrayRecord | RecordDict, times: int) -> bytes:
    """Return an object that names the one part that it holds so many times."""
    body = json.loads(get_object_body(held.deflate(), type(held)))
    if isinstance(held, Array):
        body["arraychunk_ids"] = [0] * times
    else:
        (part,) = body.values()
        body = {f"{number}": part for number in range(times)}
    return add_header_to_object_body(json.dumps(body).encode(), held)


def named_twice(array: Array, ways: int) -> dict[str, bytes]:
    """Return so many arrays, by their names, each of which names the one piece of an array twice."""
    told = json.loads(get_object_body(array.deflate(), Array)) | {"arraychunk_ids": [0, 0]}
    bodies = [json.dumps(told | {"shape": [way]}).encode() for way in range(ways)]
    return {get_object_id(each): each for each in (add_header_to_object_body(body, array) for body in bodies)}


def array_of(pieces: Iterable[str], times: int) -> bytes:
    """Return an array of pieces of which it names the first so many times."""
    told = {"dtype": "float32", "shape": [1], "stype": "numpy.ndarray", "arraychunk_ids": [0] * times}
    return _object("Array", pieces, told)


def listing(arrays: Iterable[str]) -> bytes:
    """Return a record that lists arrays, and names the first of them."""
    listed = list(arrays)
    return _object("ArrayRecord", listed, {"tail": listed[0]})


def _object(kind: str, parts: Iterable[str], told: Mapping[str, object]) -> bytes:
    body = json.dumps(told).encode()
    return f"{kind} {','.join(parts)} {len(body)}".encode() + b"\0" + body
