"""Forward proxies named by environment variables: which one leads to a host, and processes that need none.

Programs take ``http_proxy`` and its like for all addresses, this machine's own included, and a proxy cannot reach
those. Libraries differ in which spelling they read, which exceptions they know, and what they do with a proxy of a kind
that they cannot use (httpx refuses to start, even for an address that is excepted). So a process gets the one proxy
that it needs, or none.
"""

import base64
import contextlib
import ipaddress
import os
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPResponse
from urllib.parse import SplitResult, unquote, urlsplit

from common.system.network_address import join_address, split_address

LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""This machine's own names; written out, since not every library understands 127.0.0.0/8."""

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
_EXCEPTIONS = ("no_proxy", "no_grpc_proxy")
_ANY = "*"


@dataclass(frozen=True)
class Proxy:
    """A proxy and the variable that names it.

    Attributes
    ----------
    variable : str
        As it is spelled in the environment.
    url : str
        Its value, with a password if it has one; without a scheme it is an HTTP proxy.
    """

    variable: str
    url: str

    @property
    def scheme(self) -> str:
        """Such as "http", "socks5"."""
        return self._parts.scheme.lower()  # "" if the value is no address

    @property
    def host(self) -> str:
        """Its name or address; empty if the value is no address."""
        return self._parts.hostname or ""

    @property
    def port(self) -> int:
        """Its port; 80 if none is named, as of any HTTP address."""
        with contextlib.suppress(ValueError):
            return self._parts.port or 80
        return 0

    @property
    def authorization(self) -> str | None:
        """The value of ``Proxy-Authorization`` for the user and password in the address, if it has them."""
        if self._parts.username is None:
            return None
        words = f"{unquote(self._parts.username)}:{unquote(self._parts.password or '')}"
        return "Basic " + base64.b64encode(words.encode()).decode()

    def __str__(self) -> str:
        """Return variable and address as they may be shown: without user and password, and nothing of what is none."""
        if not self.host or not self.port:
            return f"{self.variable}=(no address)"
        secret = "***@" if "@" in self.url else ""
        return f"{self.variable}={self.scheme}://{secret}{join_address(self.host, self.port)}"

    @property
    def _parts(self) -> SplitResult:
        """Its parts; empty ones if the value is no address, such as one with a bracket in its password."""
        try:
            return urlsplit(self.url if "://" in self.url else f"http://{self.url}")
        except ValueError:
            return SplitResult("", "", "", "", "")


def proxies_of(environment: Mapping[str, str]) -> list[Proxy]:
    """Return the proxies that an environment names, the lower-case spelling of a variable before the other."""
    names = [spelling for name in _PROXIES for spelling in (name, name.upper())]
    return [Proxy(name, environment[name].strip()) for name in names if environment.get(name, "").strip()]


def proxy_for(address: str, environment: Mapping[str, str]) -> Proxy | None:
    """Return the proxy that leads to an HTTPS server; None if it is reached directly.

    Parameters
    ----------
    address : str
        ``host:port``.
    environment : mapping of str to str
        ``https_proxy`` counts before ``all_proxy``, and lower case before upper case. A host is excepted by this
        machine's own names and by ``no_proxy``: names (with all below them), addresses, networks such as 10.0.0.0/8, *.
    """
    host, _ = split_address(address)
    if host in LOOPBACK or _is_excepted(host, _exceptions(environment, "no_proxy")):
        return None
    named = {proxy.variable: proxy for proxy in proxies_of(environment)}
    wanted = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    return next((named[variable] for variable in wanted if variable in named), None)


def with_proxy(environment: Mapping[str, str], proxy: Proxy | None) -> dict[str, str]:
    """Return an environment for a process that talks to this machine directly, and to others through one proxy or none.

    Parameters
    ----------
    environment : mapping of str to str
        With whatever proxies the user's shell or service names.
    proxy : Proxy or None
        The only one that the process shall know.
    """
    changed = {name: value for name, value in environment.items() if name.lower() not in (*_PROXIES, *_EXCEPTIONS)}
    # The user's exceptions have decided already which proxy that is, and some of them would stop a library.
    for name in _EXCEPTIONS:
        changed |= dict.fromkeys((name, name.upper()), ",".join(LOOPBACK))
    return changed | ({"https_proxy": proxy.url} if proxy else {})


@contextlib.contextmanager
def without_proxies() -> Iterator[None]:
    """Take the proxies from this process's environment for a moment, in which a client of this machine is made."""
    names = [spelling for name in (*_PROXIES, *_EXCEPTIONS) for spelling in (name, name.upper())]
    taken = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(taken)


def open_directly(url: str, seconds: float, tls: ssl.SSLContext | None = None) -> "contextlib.closing[HTTPResponse]":
    """Ask for a page of this machine, whatever proxies the environment names.

    Raises
    ------
    OSError
        If there is no answer in time, or one of 400 and more.
    """
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls))
    return contextlib.closing(opener.open(url, timeout=seconds))


def _exceptions(environment: Mapping[str, str], name: str) -> list[str]:
    """Return the hosts in a variable of exceptions; the lower-case spelling counts where both are set."""
    listed = environment.get(name, environment.get(name.upper(), ""))
    return [word.strip() for word in listed.replace(" ", ",").split(",") if word.strip()]


def _is_excepted(host: str, exceptions: list[str]) -> bool:
    return any(_covers(each.lower(), host.lower()) for each in exceptions)


def _covers(exception: str, host: str) -> bool:
    # Some libraries take a scheme or a port too; the host counts here.
    exception = exception.rpartition("://")[2]
    if exception.count(":") == 1:
        exception = exception.partition(":")[0]
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host) in ipaddress.ip_network(exception.strip("[]"), strict=False)
    name = exception.removeprefix("*").removeprefix(".") if exception != _ANY else _ANY
    return name == _ANY or host == name or host.endswith(f".{name}")
