import numpy as np
from flwr.app import Context, Error, Message, RecordDict

from client.flower.serialization import message_from_bytes, message_to_bytes, size_of
from common.protocol import messages


def test_messages_survive_the_way_to_another_process_and_back() -> None:
    sent = Message(RecordDict(), dst_node_id=7, message_type="train")
    back = message_from_bytes(message_to_bytes(sent))
    assert back.metadata.dst_node_id == 7
    assert back.metadata.message_type == "train"
    assert Message(Error(4001, "words"), reply_to=back).error.reason == "words"
    assert Context(1, 2, {}, RecordDict(), {}).run_id == 1


def test_the_size_counts_the_tensors() -> None:
    content = RecordDict({messages.ARRAYS: messages.tail_record(np.zeros(1000, np.float32))})
    assert 4000 < size_of(content) < 5000
    assert size_of(RecordDict()) == 0
