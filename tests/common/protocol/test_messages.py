"""The one tensor of a message, packed and unpacked."""

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from common.protocol import messages


@pytest.mark.parametrize(
    "arrays",
    [
        ArrayRecord(),
        ArrayRecord({"other": Array(np.zeros(3, np.float32))}),
        ArrayRecord({"tail": Array(np.zeros(3, np.float32)), "more": Array(np.zeros(3, np.float32))}),
        ArrayRecord({"tail": Array(np.zeros(3))}),
        ArrayRecord({"tail": Array(dtype="float32", shape=(3,), stype="numpy.ndarray", data=b"no array")}),
        ArrayRecord({"tail": Array(np.zeros((3, 1), np.float32))}),
    ],
)
def test_anything_but_one_flat_float32_vector_is_refused(arrays: ArrayRecord) -> None:
    with pytest.raises(ValueError, match="tail"):
        messages.read_tail(RecordDict({"arrays": arrays}))


def test_a_tail_survives_the_journey() -> None:
    vector = np.arange(5, dtype=np.float32)
    assert np.array_equal(messages.read_tail(RecordDict({"arrays": messages.tail_record(vector)})), vector)


def test_a_whole_number_is_read_out_of_a_message() -> None:
    config = ConfigRecord({"round": 3, "site": "3"})
    assert messages.read_int(config, "round") == messages.read_int(RecordDict({"config": config}), "round") == 3
    for content, key in ((config, "site"), (config, "split"), (RecordDict(), "round")):
        with pytest.raises(ValueError, match="not a whole number"):
            messages.read_int(content, key)
