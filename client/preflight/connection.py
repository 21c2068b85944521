"""Why can this hospital not reach its federation? Tries each step of a connection, from the name to the clock."""

import contextlib
import os
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from client.preflight.certificates import SET_CLOCK, check_ca_certificate, issuer_of, judge_validity, names_of
from client.preflight.findings import Finding, Status, failed, passed
from client.preflight.line import Address, Line, TlsLine
from client.preflight.proxy import TunnelRefusedError, check_proxies, explain_refusal, open_tunnel
from client.preflight.question import ask
from client.preflight.server_answer import NO_GATEWAY, SERVER, judge_answer, signing_key
from client.rules.hospital_file import HospitalFile
from common.security.node_key import signed_headers
from common.system.network_address import join_address, split_address
from common.system.proxies import Proxy, proxy_for
from common.system.wording import shortened

TIMEOUT = 10.0
"""Time limit of one connection in seconds."""

_NAME, _PORT, _TLS = "server name", "server port", "TLS"
_CERTIFICATE = "the server's certificate"
_MOST_ADDRESSES = 8
_LONGEST_NAMES = 200

# X509_V_ERR_..., from OpenSSL's x509_vfy.h
_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_HOST, _WRONG_ADDRESS = 62, 64


@dataclass
class _Server:
    hospital: str
    host: str
    port: int
    ca_certificate: Path
    node_key: Path
    timeout: float
    proxy: Proxy | None
    addresses: tuple[Address, ...] = ()
    """Of the first host, once it was looked up."""

    @property
    def first(self) -> tuple[str, int]:
        """The host and port that are connected to: the proxy's, if there is one."""
        return (self.proxy.host, self.proxy.port) if self.proxy else (self.host, self.port)

    @contextlib.contextmanager
    def connected(self) -> Iterator[Line]:
        """Connect for one exchange, which has `timeout` seconds in all."""
        with Line(self.addresses, self.timeout) as line:
            if self.proxy:
                open_tunnel(line, self.proxy, self.host, self.port)
            yield line

    def shake_hands(self, context: ssl.SSLContext) -> bytes:
        """Return the server's certificate (DER) if `context` accepts it."""
        with self.connected() as line:
            return TlsLine(line, context, self.host).certificate

    def trusting(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_certificate))


def diagnose_connection(hospital: HospitalFile, timeout: float = TIMEOUT) -> list[Finding]:
    """Take the steps of a connection to the gateway, through a proxy as the SuperNode does, up to the first that fails.

    Parameters
    ----------
    hospital : HospitalFile
        Its `name`, `server`, `ca_certificate` and `node_key`.
    timeout : float
        Seconds for each connection, whatever is sent on it.

    Returns
    -------
    list of Finding
        Only the last can have failed: it says what is wrong with the connection, and how to mend it.
    """
    host, port = split_address(hospital.server)
    proxy = proxy_for(hospital.server, os.environ)
    server = _Server(hospital.name, host, port, hospital.ca_certificate, hospital.node_key, timeout, proxy)
    findings = [*check_proxies(hospital.server), check_ca_certificate(hospital)]
    if findings[0].status == Status.FAILED:
        return findings
    for step in _STEPS:
        if findings[-1].status == Status.FAILED:
            break
        findings += _take(step, server)
    return findings


def _take(step: Callable[[_Server], list[Finding]], server: _Server) -> list[Finding]:
    try:
        return step(server)
    except Exception as error:  # noqa: BLE001 - whoever answers there sends what he likes, and ends neither check nor daemon
        found = f"what answers at {join_address(server.host, server.port)} cannot be judged ({type(error).__name__})"
        return [failed("connection", found, NO_GATEWAY)]


def _resolve(server: _Server) -> list[Finding]:
    answers: queue.SimpleQueue[list[Address] | OSError] = queue.SimpleQueue()
    host, port = server.first

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([(family, address) for family, *_, address in found])
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that no host can have
            answers.put(error if isinstance(error, OSError) else OSError(str(error)))

    # The resolver takes no timeout. A daemon thread can be left behind; Python waits for the threads of a pool.
    threading.Thread(target=look_up, daemon=True).start()
    # Behind a proxy, its name is all that this machine must know: the proxy looks the server up.
    named = f"the proxy in {server.proxy.variable}" if server.proxy else "server in hospital.yaml"
    mend = f"check {named}, and this machine's DNS; an entry in /etc/hosts does as well"
    try:
        answer = answers.get(timeout=server.timeout)
    except queue.Empty:
        return [failed(_NAME, f"no answer to a look-up of {host} within {server.timeout:g} s", mend)]
    if isinstance(answer, OSError):
        return [failed(_NAME, f"{host} has no address ({answer.strerror or answer})", mend)]
    server.addresses = tuple(answer[:_MOST_ADDRESSES])
    return [passed(_NAME, f"{host} is {', '.join(dict.fromkeys(str(address[0]) for _, address in server.addresses))}")]


def _connect(server: _Server) -> list[Finding]:
    proxy, address = server.proxy, join_address(server.host, server.port)
    where = f"port {proxy.port} of the proxy {proxy.host}" if proxy else f"port {server.port} of {server.host}"
    try:
        with server.connected():
            pass
    except TunnelRefusedError as error:
        assert proxy is not None
        return [explain_refusal(_PORT, proxy, address, error)]
    except ConnectionRefusedError:
        mend = "the server is down or the port is wrong: ask the coordinator, and check server in hospital.yaml"
        if proxy:
            mend = f"check {proxy.variable}"
        return [failed(_PORT, f"{where} refuses connections", mend)]
    except TimeoutError:
        mend = f"most likely a firewall drops them: allow outgoing TCP to {proxy.host if proxy else address}"
        return [failed(_PORT, f"{where} did not answer within {server.timeout:g} s", mend)]
    except OSError as error:
        return [failed(_PORT, f"{where} cannot be reached ({error.strerror or error})", "check the network")]
    return [passed(_PORT, f"{where} {f'leads to {address}' if proxy else 'accepts connections'}")]


def _shake_hands(server: _Server) -> list[Finding]:
    ask = "ask the coordinator for a new server certificate"
    try:
        certificate = server.shake_hands(server.trusting())
    except ssl.SSLCertVerificationError as error:
        return [_explain_refusal(server, error.verify_code, ask)]
    except TimeoutError:
        found = f"the server accepts connections, but completes no TLS handshake within {server.timeout:g} s"
        return [failed(_TLS, found, "the gateway hangs, or a firewall holds TLS back: ask the coordinator")]
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
        mend = "check the port in hospital.yaml; let no proxy stand between that breaks up TLS"
        return [failed(_TLS, f"the server speaks no TLS that we understand ({reason})", mend)]
    validity = judge_validity("server certificate", _CERTIFICATE, certificate, ask)
    return [passed(_TLS, f"{_CERTIFICATE} is from this federation's CA, for this name"), validity]


def _explain_refusal(server: _Server, code: int, ask: str) -> Finding:
    if code in (_WRONG_HOST, _WRONG_ADDRESS):
        found = f"{_CERTIFICATE} is not for {server.host}" + _names_suffix(server)
        return failed(_TLS, found, "use one of its names as server in hospital.yaml, or " + ask)
    if code in (_EXPIRED, _NOT_YET_VALID):
        judged = judge_validity(_TLS, _CERTIFICATE, _unverified(server), f"{ask}; if today is wrong: {SET_CLOCK}")
        # Another connection may be shown another certificate.
        return judged if judged.status == Status.FAILED else failed(_TLS, f"{_CERTIFICATE} is not valid today", ask)
    found = f"{_CERTIFICATE} was not signed by this federation's CA (ca.crt of the start kit)" + _issuer_suffix(server)
    mend = "compare the CA's fingerprint with the coordinator's by telephone; a proxy that breaks up TLS is refused too"
    if server.proxy:
        mend = (
            f"most likely the proxy {server.proxy.host} inspects TLS, which is refused: have "
            f"{join_address(server.host, server.port)} exempted there; otherwise compare the CA's fingerprint with the "
            "coordinator's by telephone"
        )
    return failed(_TLS, found, mend)


def _issuer_suffix(server: _Server) -> str:
    issuer = issuer_of(_unverified(server))
    return "" if issuer is None else f", but by {shortened(issuer, _LONGEST_NAMES)!r}"


def _names_suffix(server: _Server) -> str:
    names = names_of(_unverified(server))
    if names is None:
        return ""
    return f", but for {shortened(', '.join(names), _LONGEST_NAMES)}" if names else ", nor for any other name"


def _unverified(server: _Server) -> bytes:
    """Return the certificate of a server that is not trusted, in order to say what is wrong with it; empty if none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        return server.shake_hands(context)
    except (OSError, ValueError):
        return b""


def _ask_health(server: _Server) -> list[Finding]:
    key = signing_key(server.node_key)
    try:
        with server.connected() as line:
            tls = TlsLine(line, server.trusting(), server.host)
            sent = datetime.now(UTC)
            headers = {"Host": join_address(server.host, server.port), **(signed_headers(key) if key else {})}
            answer = ask(tls, "GET", "/health", headers)
    except OSError as error:
        return [failed(SERVER, f"the server does not answer GET /health ({type(error).__name__})", NO_GATEWAY)]
    return list(judge_answer(answer, sent, key, server.hospital))


_STEPS: tuple[Callable[[_Server], list[Finding]], ...] = (_resolve, _connect, _shake_hands, _ask_health)
