"""Flower's messages as bytes, as they pass between processes, and how large they are."""

from flwr.app import Message, RecordDict
from flwr.common.serde import message_from_proto, message_to_proto, recorddict_to_proto
from flwr.proto.message_pb2 import Message as ProtoMessage


def message_to_bytes(message: Message) -> bytes:
    """Serialise a message."""
    return bytes(message_to_proto(message).SerializeToString())


def message_from_bytes(content: bytes) -> Message:
    """Read a message that `message_to_bytes` wrote."""
    return message_from_proto(ProtoMessage.FromString(content))


def size_of(content: RecordDict) -> int:
    """Return how many bytes the records of a message are when they travel."""
    return int(recorddict_to_proto(content).ByteSize())
