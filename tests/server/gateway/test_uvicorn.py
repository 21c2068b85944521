"""What the gateway uses of uvicorn and uvicorn does not promise; read `connection.py` again before the pin is moved."""

import asyncio
import inspect
import tomllib
from importlib.metadata import version

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from tests.places import ROOT


def test_the_minor_version_is_pinned():
    (pin,) = [
        each
        for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
        if each.startswith("uvicorn")
    ]
    major, minor = version("uvicorn").split(".")[:2]
    assert pin == f"uvicorn>={major}.{minor},<{major}.{int(minor) + 1}"


def test_a_connection_is_made_and_kept_as_the_gateway_expects():
    assert list(inspect.signature(H11Protocol.__init__).parameters) == [
        *("self", "config", "server_state", "app_state", "_loop")
    ]
    for name in ("connection_made", "connection_lost", "data_received", "on_response_complete", "shutdown"):
        assert callable(getattr(H11Protocol, name))
    for name in ("send_400_response", "_unset_keepalive_if_required"):
        assert callable(getattr(H11Protocol, name))

    async def made() -> H11Protocol:
        config = uvicorn.Config(lambda: None, http="h11", ws="none", lifespan="off")
        return H11Protocol(config, ServerState(), {"visit": 1})

    protocol = asyncio.run(made())
    assert protocol.client is None
    assert protocol.connections == set()
    assert "self.app_state.copy()" in inspect.getsource(H11Protocol.handle_events)


def test_a_server_may_have_no_sockets_and_is_shut_down_by_a_method():
    server = uvicorn.Server(uvicorn.Config(lambda: None, lifespan="off"))
    assert isinstance(server.server_state, ServerState)
    assert list(inspect.signature(server.shutdown).parameters) == ["sockets"]
    assert list(inspect.signature(server.serve).parameters) == ["sockets"]
