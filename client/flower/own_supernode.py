"""The runner's line to the SuperNode: a port of this machine, on which any account may listen while it is free.

Flower lets the runner prove to the SuperNode who it is, and not the other way round: whoever answers on that port could
ask for an update of the images. So nothing is sent, and no answer is read, before the system has said that the process
at the other end is this user's. When what is used here has moved in Flower, tests/client/flower/test_flower_seam.py
fails.
"""

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from flwr.supercore.protobuf.client import ProtobufCall, ProtobufClientInterceptor, ProtobufRequestContext
from flwr.supercore.runtime import RuntimeHttpClient

from common.system.loopback import KNOWN, accepting_users
from common.system.users import user_words

# A SuperNode that is busy accepts a connection late.
_PATIENCE = 10.0
_CONNECTED = "connection.connect_tcp.complete"


class OwnRuntimeClient(RuntimeHttpClient):
    """Flower's client of the Runtime API, for a SuperNode of this user only."""

    def __init__(self, base_url: str, *, interceptors: Sequence[ProtobufClientInterceptor] = (), **settings: Any):
        super().__init__(base_url, interceptors=(_OwnUserOnly(), *interceptors), **settings)
        self._client.follow_redirects = False


class _OwnUserOnly:
    """Looks at each new connection before anything is sent on it."""

    def __init__(self) -> None:
        self._told = ""

    def intercept(self, context: ProtobufRequestContext, call_next: ProtobufCall) -> httpx.Response:
        context.request.extensions["trace"] = self._look
        return call_next(context)

    def _look(self, event: str, details: Mapping[str, Any]) -> None:
        if event != _CONNECTED or not KNOWN:
            return
        stream = details["return_value"]
        if problem := _stranger(stream.get_extra_info("socket")):
            stream.close()
            if problem != self._told:
                print(problem, file=sys.stderr, flush=True)
            self._told = problem
            # Flower tries again until the SuperNode is back; by some words of an error, such as a user's, it would not.
            raise httpx.ConnectError("nothing was sent")


def _stranger(connection: socket.socket) -> str | None:
    """Return what is wrong with who is at the other end of a connection; None if it is a process of this user."""
    try:
        port = connection.getpeername()[1]
        users = accepting_users(connection, _PATIENCE)
    except OSError as error:
        return f"nothing is sent to the SuperNode: nobody can say whose it is ({error.strerror})"
    if not users:
        return f"nothing is sent to port {port}: nobody has accepted the connection"
    if users == {os.geteuid()}:
        return None
    who = " and ".join(user_words(each) for each in sorted(users - {os.geteuid()}))
    return f"nothing is sent to port {port}: not this hospital's SuperNode listens there, but {who}"
