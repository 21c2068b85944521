"""Whether the SuperLink is well, asked at most once a second, however many want to know."""

import asyncio
import time

import httpx

from server.gateway.refusal import RefusedError

_TIMEOUT_SECONDS = 3
_KEPT_SECONDS = 1.0


class Health:
    """Answers for /health without a request to the SuperLink for each caller.

    Parameters
    ----------
    upstream : httpx.AsyncClient
        Client of the SuperLink.
    """

    def __init__(self, upstream: httpx.AsyncClient) -> None:
        self._upstream = upstream
        self._asking = asyncio.Lock()
        self._until = 0.0
        self._problem: str | None = None

    async def check(self) -> None:
        """Raise `RefusedError` unless the SuperLink is well."""
        async with self._asking:
            if time.monotonic() > self._until:
                self._problem = await self._ask()
                self._until = time.monotonic() + _KEPT_SECONDS
        if self._problem is not None:
            raise RefusedError(503, self._problem)

    async def _ask(self) -> str | None:
        try:
            reply = await self._upstream.get("/health", timeout=_TIMEOUT_SECONDS)
        except httpx.HTTPError as error:
            return f"upstream: {type(error).__name__} {error}"
        return None if reply.is_success else f"upstream answered {reply.status_code}"
