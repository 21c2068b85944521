"""The proxy between a hospital and its server: which one, and what it says to a tunnel through it."""

import http.client
import os
import re

from client.preflight.findings import Finding, failed, passed
from client.preflight.line import Line
from client.preflight.question import NoHttpError, ask
from common.system.network_address import join_address, split_address
from common.system.proxies import Proxy, proxies_of, proxy_for

_CHECK = "proxy"
_SCHEME = re.compile(r"[A-Za-z0-9-]{1,20}")
_MOST_SCHEMES = 5
_REFUSALS: dict[int, str] = {
    http.client.FORBIDDEN: "refuses a tunnel to it",
    http.client.METHOD_NOT_ALLOWED: "makes no tunnels (CONNECT)",
    http.client.NOT_IMPLEMENTED: "makes no tunnels (CONNECT)",
    http.client.BAD_GATEWAY: "cannot reach it",
    http.client.SERVICE_UNAVAILABLE: "cannot reach it",
    http.client.GATEWAY_TIMEOUT: "had no answer from it",
}


class TunnelRefusedError(OSError):
    """A proxy answered, but made no tunnel.

    Parameters
    ----------
    status : int
        Of its answer, such as 403.
    asks_for : str
        How it wants to be logged in to, such as "Basic", "Negotiate, NTLM"; empty unless the status is 407.
    """

    def __init__(self, status: int, asks_for: str) -> None:
        super().__init__(f"the proxy answered {status}")
        self.status = status
        self.asks_for = asks_for


def check_proxies(server: str) -> list[Finding]:
    """Say which proxies the environment names, and which of them leads to the server; nothing if there is none.

    Parameters
    ----------
    server : str
        ``host:port`` of the gateway.
    """
    named = proxies_of(os.environ)
    if not named:
        return []
    found = f"the environment says {', '.join(map(str, named))}"
    proxy = proxy_for(server, os.environ)
    if proxy is None:
        return [passed(_CHECK, f"{found}; none of them is for {server}, which is called directly")]
    where = f"the proxy in {proxy.variable} leads to {server}"
    if not proxy.host or not proxy.port:
        mend = "write it as https_proxy=http://host:port, and a sign such as # in a password as %23"
        return [failed(_CHECK, f"{found}; {where}, but it is no address", mend)]
    if proxy.scheme != "http":
        mend = f"name an HTTP proxy, as in https_proxy=http://host:port, or add {split_address(server)[0]} to no_proxy"
        return [failed(_CHECK, f"{found}; {where}, but it is no HTTP proxy ({proxy.scheme})", mend)]
    return [passed(_CHECK, f"{found}; {where}")]


def open_tunnel(line: Line, proxy: Proxy, host: str, port: int) -> None:
    """Have a proxy lead a connection to a server, as httpx does: a CONNECT, and then the server's bytes.

    Parameters
    ----------
    line : Line
        To the proxy.
    proxy : Proxy
        Its user and password, if it has them.
    host, port : str, int
        Of the server.

    Raises
    ------
    TunnelRefusedError
        If the proxy answers anything but 2xx.
    OSError
        As `Line`, or if the proxy does not speak HTTP.
    """
    target = join_address(host, port)
    login = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
    try:
        answer = ask(line, "CONNECT", target, {"Host": target, **login})
    except NoHttpError as error:
        raise ConnectionError("it does not answer as an HTTP proxy does") from error
    if answer.status // 100 != 2:
        asks = [found[0] for each in answer.all("Proxy-Authenticate") if (found := _SCHEME.match(each))]
        raise TunnelRefusedError(answer.status, ", ".join(asks[:_MOST_SCHEMES]))


def explain_refusal(check: str, proxy: Proxy, server: str, error: TunnelRefusedError) -> Finding:
    """Say why a proxy made no tunnel to a server (``host:port``), and whom to ask."""
    if error.status == http.client.PROXY_AUTHENTICATION_REQUIRED:
        return _explain_login(check, proxy, server, error)
    reason = _REFUSALS.get(error.status, "refuses")
    mend = f"ask whoever runs the proxy to allow CONNECT to {server}; many proxies allow port 443 only"
    return failed(check, f"{server}: the proxy {proxy.host}:{proxy.port} {reason} ({error.status})", mend)


def _explain_login(check: str, proxy: Proxy, server: str, error: TunnelRefusedError) -> Finding:
    found = f"{server}: the proxy {proxy.host}:{proxy.port} asks for a user and password (407, {error.asks_for})"
    if "basic" not in error.asks_for.lower():
        mend = "only Basic is known here: ask for an exemption of this machine, or run a local forwarder such as cntlm"
    elif proxy.authorization:
        mend = f"those in {proxy.variable} were refused: correct them; write @ as %40 and : as %3A"
    else:
        mend = f"write them into {proxy.variable}: http://user:password@host:port"
    return failed(check, found, mend)
