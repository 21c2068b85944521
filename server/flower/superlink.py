"""Flower's SuperLink, whose operators' side answers only to whoever can read a file of the server's user.

Flower serves operators, hospitals and runs on one port, and asks operators for nothing: any account of the machine
could start and stop runs, read their configuration, and shut hospitals out for ever. Hospitals sign what they send, and
runs have tokens; all else needs the secret that `Control` sends. The middleware comes in by Flower's own hook for
extensions; when that hook has moved, tests/server/flower/test_flower_seam.py fails.
"""

import hmac
import os
from pathlib import Path

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from server.flower.operator_secret import HEADER, SECRET_VARIABLE, header_value

# What Flower itself asks a key, a token or a secret for, and what tells nothing.
_GUARDED = ("/v1/fleet/", "/v1/runtime/")
_OPEN = "/health"
_REFUSED = 403


class OperatorsOnly:
    """Refuses requests without the operators' secret, but for paths that are guarded otherwise.

    Parameters
    ----------
    app : ASGIApp
        The SuperLink.
    secret : str
        The value of the header.
    """

    def __init__(self, app: ASGIApp, secret: str) -> None:
        self._app = app
        self._secret = secret.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 403."""
        if scope["type"] == "lifespan" or self._may_pass(scope):
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": _REFUSED, "headers": []})
        await send({"type": "http.response.body", "body": b"refused\n"})

    def _may_pass(self, scope: Scope) -> bool:
        if scope["type"] != "http":
            return False
        path = scope["path"]
        if path == _OPEN or path.startswith(_GUARDED):
            return True
        told = [value for name, value in scope["headers"] if name == HEADER.encode()]
        return len(told) == 1 and hmac.compare_digest(told[0], self._secret)


def main() -> None:
    """Run `flower-superlink` with the operators' secret, of the file that the environment names."""
    import flwr.superlink.extensions as extensions
    from flwr.superlink.cli.flower_superlink import flower_superlink

    secret = header_value(Path(os.environ[SECRET_VARIABLE]))
    extensions.get_middleware = lambda: (Middleware(OperatorsOnly, secret=secret),)
    flower_superlink()


if __name__ == "__main__":
    main()
