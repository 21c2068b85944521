"""Replies that this hospital may have to send again; each is on disk before it is sent.

A server that was restarted, or that did not get a reply, asks again for the same plan, round and global tail. It then
gets the reply that was computed before. Nothing is trained twice, and no work is lost with a connection.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from flwr.app import ConfigRecord, MetricRecord, RecordDict

from client.rules.request import Request
from common.protocol import messages
from common.protocol.receipt import receipt_of
from common.system.files import all_but_newest, remove_parts
from common.system.tensor_file import TensorFileError, read_tensors, write_tensors

# The last training, and the evaluations of the last model on two splits.
_KEEP = 3


class KeptReplies:
    """The last replies, each in a file with a digest.

    Parameters
    ----------
    folder : Path
        Holds nothing else; made when the first reply is kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, request: Request, reply: RecordDict) -> None:
        """Save a reply to a training or a test, as it is before the egress guard; removes all but the last few.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        content = json.dumps(
            {
                messages.METRICS: dict(reply[messages.METRICS].items()),
                messages.CONFIG: dict(reply[messages.CONFIG].items()),
            },
            sort_keys=True,
        )
        tensors = {messages.TAIL: messages.read_tail(reply)} if messages.ARRAYS in reply else {}
        path = self._path(request)
        write_tensors(path, tensors, place=path.stem, text=content)
        remove_parts(self._folder)
        others = [each for each in self._folder.glob("*.safetensors") if each != path]
        for old in all_but_newest(others, _KEEP - 1):
            old.unlink(missing_ok=True)

    def find(self, request: Request) -> RecordDict | None:
        """Return the reply to the same request; None if there is none, or if its file is damaged."""
        path = self._path(request)
        try:
            tensors, content = read_tensors(path, place=path.stem)
        except TensorFileError:
            return None
        told: dict[str, Any] = json.loads(content)
        reply = RecordDict(
            {
                messages.METRICS: MetricRecord(told[messages.METRICS]),
                messages.CONFIG: ConfigRecord(told[messages.CONFIG]),
            }
        )
        if messages.TAIL in tensors:
            reply[messages.ARRAYS] = messages.tail_record(tensors[messages.TAIL])
        return reply

    def _path(self, request: Request) -> Path:
        receipt = json.dumps([request.kind, receipt_of(request.config)], sort_keys=True)
        return self._folder / f"{hashlib.sha256(receipt.encode()).hexdigest()[:32]}.safetensors"
