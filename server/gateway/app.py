"""The gateway's ASGI app: which requests it forwards to the SuperLink, and which it answers itself."""

import asyncio
import logging

import httpx
from starlette.types import Receive, Scope, Send

from server.gateway.call import Call
from server.gateway.limits import Limits, Places, RateTable
from server.gateway.refusal import RefusedError

_log = logging.getLogger(__name__)

# The calls of a registered SuperNode; without register-node and unregister-node, since the coordinator registers.
FLEET_ROUTES = tuple(
    f"/v1/fleet/{name}"
    for name in (
        "activate-node",
        "deactivate-node",
        "send-node-heartbeat",
        "pull-messages",
        "push-messages",
        "get-run",
        "get-fab",
        "pull-object",
        "push-object",
        "confirm-message-received",
    )
)

# The headers that a SuperNode sends: content type, the node's signature, Flower's version.
REQUEST_HEADERS = frozenset(
    {
        b"content-type",
        b"accept",
        b"flwr-public-key",
        b"flwr-signature",
        b"flwr-timestamp",
        b"flwr-package-name",
        b"flwr-package-version",
        b"flwr-component-name",
    }
)
RESPONSE_HEADERS = frozenset({b"content-type", b"flwr-version-incompatibility-message"})

_TEXT = (b"content-type", b"text/plain")
_RETRY_AFTER = (b"retry-after", b"5")
_HEALTH_SECONDS = 3
_LONGEST_TARGET_IN_LOG = 80


class Gateway:
    """The ASGI app.

    Parameters
    ----------
    upstream : httpx.AsyncClient
        Client of the SuperLink, with its address as base URL, its CA and the time limit.
    limits : Limits
        How much is accepted per address and altogether.
    """

    def __init__(self, upstream: httpx.AsyncClient, limits: Limits) -> None:
        self._upstream = upstream
        self._limits = limits
        self._rates = RateTable(limits)
        self._places = Places(limits)
        self._routes = {route.encode(): route for route in FLEET_ROUTES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request."""
        call = Call(scope, receive, send)
        try:
            await self._handle(call)
        except RefusedError as refusal:
            await self._refuse(call, refusal)
        except asyncio.CancelledError:
            # The gateway stops. uvicorn would answer 500, and a SuperNode's worker ends at that.
            await self._refuse(call, RefusedError(503, "the gateway stops"))
        except Exception:  # noqa: BLE001  # a 500 would end a SuperNode's worker here too
            _log.exception("a fault of the gateway")
            await self._refuse(call, RefusedError(503, "a fault of the gateway"))

    async def _handle(self, call: Call) -> None:
        if not self._rates.admits(call.address):
            raise RefusedError(503, "too many requests a second")
        route = self._routes.get(call.target)
        if call.target != b"/health" and route is None:
            raise RefusedError(404, "no such route")
        if call.method != ("GET" if route is None else "POST"):
            raise RefusedError(405, "method not allowed")
        with self._places.taken(call.address):
            if route is None:
                await self._say_health(call)
            else:
                await self._forward(call, route)

    async def _say_health(self, call: Call) -> None:
        reply = await self._ask(self._upstream.build_request("GET", "/health", timeout=_HEALTH_SECONDS))
        if not reply.is_success:
            raise RefusedError(503, f"upstream answered {reply.status_code}")
        await call.answer(200, [_TEXT], b"ok\n", self._limits.transfer_seconds)

    async def _forward(self, call: Call, route: str) -> None:
        body = await call.read_body(self._limits.body_bytes, self._limits.transfer_seconds)
        headers = call.headers(REQUEST_HEADERS)
        reply = await self._ask(self._upstream.build_request("POST", route, headers=headers, content=body))
        if not (reply.is_success or reply.is_client_error):
            raise RefusedError(503, f"upstream answered {reply.status_code}")
        kept = [(name.lower(), value) for name, value in reply.headers.raw if name.lower() in RESPONSE_HEADERS]
        await call.answer(reply.status_code, kept, reply.content, self._limits.transfer_seconds)

    async def _ask(self, request: httpx.Request) -> httpx.Response:
        try:
            return await self._upstream.send(request)
        except httpx.HTTPError as error:
            raise RefusedError(503, f"upstream: {type(error).__name__} {error}") from None

    async def _refuse(self, call: Call, refusal: RefusedError) -> None:
        target = ascii(call.target[:_LONGEST_TARGET_IN_LOG])
        _log.warning("%s %s %s: %d %s", call.address, call.method[:8], target, refusal.status, refusal.reason)
        retry = [_RETRY_AFTER] if refusal.status == 503 else []
        await call.refuse(refusal.status, [_TEXT, *retry], b"refused\n")
