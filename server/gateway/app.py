"""The gateway's ASGI app: which requests it forwards to the SuperLink, and which it answers itself."""

import asyncio
import logging

import httpx
from starlette.types import Receive, Scope, Send

from common.security.node_key import KNOWN_AS, PUBLIC_KEY, SIGNATURE, TIMESTAMP, UNKNOWN
from server.gateway.call import Call
from server.gateway.counters import Places, RateTable
from server.gateway.health import Health
from server.gateway.limits import Limits
from server.gateway.lobby import Lobby
from server.gateway.member_keys import MemberKeys
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
_JSON = (b"content-type", b"application/json")
_RETRY_AFTER = (b"retry-after", b"5")
_LONGEST_TARGET_IN_LOG = 80

# What the SuperLink answers to a node that it does not know. By this number a hospital's daemon knows that its key was
# refused, and says so.
_ACTIVATE = "/v1/fleet/activate-node"
_ACTIVATION_FAILED = b'{"code":2004,"detail":"Failed to activate SuperNode."}'
_NOT_AUTHENTICATED = b'{"detail":"Invalid SuperNode authentication"}'


class Gateway:
    """The ASGI app.

    Parameters
    ----------
    upstream : httpx.AsyncClient
        Client of the SuperLink, with its address as base URL, its CA and the time limit.
    keys : MemberKeys
        The approved hospitals' keys.
    lobby : Lobby
        Where the connections are counted.
    limits : Limits
        How much is accepted.
    """

    def __init__(self, upstream: httpx.AsyncClient, keys: MemberKeys, lobby: Lobby, limits: Limits) -> None:
        self._upstream = upstream
        self._keys = keys
        self._lobby = lobby
        self._limits = limits
        self._health = Health(upstream)
        self._strangers = RateTable(limits.rate, limits.burst, limits.addresses)
        # Names of approved hospitals, which are few.
        self._hospitals = RateTable(limits.rate, limits.burst, limits.addresses)
        self._bytes = RateTable(limits.bytes_per_hour / 3600, limits.bytes_per_hour, limits.addresses)
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
        hospital = call.hospital = self._signer(call)
        admitted = self._hospitals.admits(hospital) if hospital else self._strangers.admits(call.visit.address)
        if not admitted:
            raise RefusedError(503, "too many requests a second")
        route = self._routes.get(call.target)
        if call.target != b"/health" and route is None:
            raise RefusedError(404, "no such route")
        if call.method != ("GET" if route is None else "POST"):
            raise RefusedError(405, "method not allowed")
        if route is None:
            await self._health.check()
            known = [(KNOWN_AS.encode(), (hospital or UNKNOWN).encode())] if call.header(PUBLIC_KEY.encode()) else []
            await call.answer(200, [_TEXT, *known], b"ok\n", self._limits.silence_seconds)
        elif hospital is None:
            # Before a byte of the body is waited for, and before any place is taken.
            raise self._shut_out(call, route)
        else:
            self._lobby.admit(call.visit, hospital)
            with self._places.taken(hospital):
                await self._forward(call, route, hospital)

    def _signer(self, call: Call) -> str | None:
        return self._keys.signer(*(call.header(name.encode()) for name in (PUBLIC_KEY, TIMESTAMP, SIGNATURE)))

    def _shut_out(self, call: Call, route: str) -> RefusedError:
        if self._keys.knows(call.header(PUBLIC_KEY.encode())):
            return RefusedError(401, "signature or clock of a hospital is wrong", _NOT_AUTHENTICATED)
        if route == _ACTIVATE:
            return RefusedError(412, "no approved hospital's key", _ACTIVATION_FAILED)
        return RefusedError(401, "no approved hospital's key", _NOT_AUTHENTICATED)

    async def _forward(self, call: Call, route: str, hospital: str) -> None:
        def count(size: int) -> None:
            if not self._bytes.admits(hospital, size):
                raise RefusedError(503, f"{hospital} has sent its bytes of this hour")

        body = await call.read_body(self._limits, count)
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
        who = f"{call.visit.address} {call.hospital or 'stranger'}"
        _log.warning("%s %s %s: %d %s", who, call.method[:8], target, refusal.status, refusal.reason)
        kind = _JSON if refusal.body.startswith(b"{") else _TEXT
        retry = [_RETRY_AFTER] if refusal.status == 503 else []
        await call.refuse(refusal.status, [kind, *retry], refusal.body)
