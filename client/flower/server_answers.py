"""Bounds what a SuperNode reads of the server's answers: Flower takes whatever is sent, and unpacks it in memory.

No answer is compressed, none is larger than Flower's own are, none leads to another address, and no app's bundle is
larger unpacked than one without code. When what is replaced here has moved in Flower,
tests/client/flower/test_flower_seam.py fails.
"""

import io
import sys
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
from flwr.proto.fab_pb2 import GetFabRequest, GetFabResponse
from flwr.supernode.fleet_http_client import FleetHttpClient

from common.protocol.message_size import PIECE_BYTES, WORDS_BYTES

# A message's tree of objects, a run's settings, an app: all are a few kilobytes.
_LARGEST = WORDS_BYTES
_LARGEST_OBJECT = PIECE_BYTES + WORDS_BYTES
_OBJECT_CALL = "/pull-object"
# Of an app's files, together.
_LARGEST_FILES = WORDS_BYTES


class UnwelcomeAnswer(ValueError):  # noqa: N818 - what happened
    """The server's answer is larger than any that is expected, or compressed."""


class BoundedFleetClient(FleetHttpClient):
    """Flower's client of the server, which reads no more than it must."""

    def __init__(self, base_url: str, **settings: Any) -> None:
        super().__init__(base_url, **settings)
        self._client.headers["accept-encoding"] = "identity"
        # What the server says must not make the hospital call others.
        self._client.follow_redirects = False
        self._client.event_hooks = {"response": [_bound]}

    def GetFab(self, request: GetFabRequest) -> GetFabResponse:  # noqa: N802 - Flower's name
        """Return an app's bundle; raises `UnwelcomeAnswer` for one that Flower must not open."""
        response = super().GetFab(request)
        _check_bundle(response.fab.content)
        return response


class _Counted(httpx.SyncByteStream):
    """The body of an answer, up to a number of bytes."""

    def __init__(self, stream: httpx.SyncByteStream, largest: int) -> None:
        self._stream, self._largest = stream, largest

    def __iter__(self) -> Iterator[bytes]:
        left = self._largest
        for part in self._stream:
            left -= len(part)
            if left < 0:
                raise UnwelcomeAnswer(f"the server's answer has more than {self._largest} bytes")
            yield part

    def close(self) -> None:
        self._stream.close()


def _bound(response: httpx.Response) -> None:
    if response.headers.get("content-encoding", "identity") != "identity":
        raise UnwelcomeAnswer("the server's answer is compressed, which was not asked for")
    assert isinstance(response.stream, httpx.SyncByteStream)
    largest = _LARGEST_OBJECT if response.request.url.path.endswith(_OBJECT_CALL) else _LARGEST
    response.stream = _Counted(response.stream, largest)


def _check_bundle(bundle: bytes) -> None:
    """Refuse a zip that Flower must not look into: what it tells of its files' sizes bounds nothing that is read."""
    left = _LARGEST_FILES
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            for entry in archive.infolist():
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise UnwelcomeAnswer("the app is compressed in an unusual way")
                # Else the reader unpacks a file to its end, and cuts off what was not told.
                told, entry.file_size = entry.file_size, sys.maxsize
                with archive.open(entry) as file:
                    size = len(file.read(left + 1))
                left -= size
                if left < 0 or size != told:
                    raise UnwelcomeAnswer("the app is larger unpacked than any that is expected, or than it tells")
    except UnwelcomeAnswer:
        raise
    except Exception as error:
        raise UnwelcomeAnswer(f"the app is no zip ({type(error).__name__})") from error
