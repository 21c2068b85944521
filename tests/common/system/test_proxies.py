"""Which proxy leads where, and clients that reach this machine whatever proxies the environment names."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from client.daemon.health import HealthServer
from common.system.ports import free_port
from common.system.proxies import Proxy, open_directly, proxies_of, proxy_for, with_proxy, without_proxies

DEAD = "http://127.0.0.1:9"
SERVER = "server.example.org:8443"


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


CLIENTS = {
    "httpx": "import httpx; httpx.get(f'http://{host}:{port}/', timeout=5).raise_for_status()",
    "requests": "import requests; requests.get(f'http://{host}:{port}/', timeout=5).raise_for_status()",
    "urllib": "import urllib.request; urllib.request.urlopen(f'http://{host}:{port}/', timeout=5)",
}
NAMED = [
    {"http_proxy": DEAD},
    {"HTTP_PROXY": DEAD, "ALL_PROXY": "socks5://127.0.0.1:9"},
    {"http_proxy": DEAD, "no_proxy": "example.org", "NO_PROXY": "127.0.0.1"},
]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_process_without_a_proxy_reaches_this_machine(client: str, port: int) -> None:
    for named in NAMED:
        for host in ("127.0.0.1", "localhost"):
            code = f"host, port = {host!r}, {port}; {CLIENTS[client]}"
            environment = with_proxy({**os.environ, **named}, None)
            done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
            assert done.returncode == 0, (named, host, done.stderr)


def test_a_process_with_a_proxy_reaches_this_machine_directly(port: int) -> None:
    environment = with_proxy({**os.environ, "HTTP_PROXY": DEAD}, Proxy("https_proxy", DEAD))
    code = "\n".join(f"host, port = '127.0.0.1', {port}; {client}" for client in CLIENTS.values())
    assert environment["https_proxy"] == DEAD
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0


@pytest.mark.parametrize("named", [{"http_proxy": DEAD}, {"grpc_proxy": DEAD, "no_grpc_proxy": "example.org"}])
def test_grpc_reaches_this_machine(named: dict[str, str]) -> None:
    port = free_port()
    code = f"""
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
with grpc.insecure_channel("127.0.0.1:{port}") as channel:
    health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
"""
    with HealthServer(port):
        for environment, expected in (({**os.environ, **named}, 1), (with_proxy({**os.environ, **named}, None), 0)):
            done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
            assert done.returncode == expected


def test_this_process_asks_this_machine_directly(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", DEAD)
    with open_directly(f"http://127.0.0.1:{port}/", 5) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({}, None),
        ({"http_proxy": DEAD}, None),  # the gateway speaks HTTPS
        ({"HTTPS_PROXY": DEAD}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": DEAD, "https_proxy": DEAD}, "https_proxy"),
        ({"ALL_PROXY": DEAD, "https_proxy": DEAD}, "https_proxy"),
        ({"ALL_PROXY": DEAD}, "ALL_PROXY"),
        ({"https_proxy": DEAD, "no_proxy": "localhost, .example.org"}, None),
        ({"https_proxy": DEAD, "NO_PROXY": "Example.ORG"}, None),
        ({"https_proxy": DEAD, "NO_PROXY": "*"}, None),
        ({"https_proxy": DEAD, "no_proxy": "ample.org"}, "https_proxy"),
        ({"https_proxy": DEAD, "no_proxy": "", "NO_PROXY": "*"}, "https_proxy"),
    ],
)
def test_the_proxy_that_leads_to_a_server(environment: dict[str, str], variable: str | None) -> None:
    found = proxy_for(SERVER, environment)
    assert (found.variable if found else None) == variable


@pytest.mark.parametrize(
    ("address", "direct"),
    [("10.1.2.3:8443", True), ("11.1.2.3:8443", False), ("[fd00::7]:8443", True), ("localhost:8443", True)],
)
def test_addresses_are_excepted_by_their_network(address: str, direct: bool) -> None:
    found = proxy_for(address, {"https_proxy": DEAD, "no_proxy": "10.0.0.0/8,fd00::/16"})
    assert (found is None) == direct


def test_a_password_is_never_shown() -> None:
    (proxy,) = proxies_of({"https_proxy": "http://anna:s%40crt@proxy.example.org:3128"})
    assert str(proxy) == "https_proxy=http://***@proxy.example.org:3128"
    assert proxy.authorization == "Basic YW5uYTpzQGNydA=="
    assert str(Proxy("ALL_PROXY", "proxy:81")) == "ALL_PROXY=http://proxy:81"


@pytest.mark.parametrize("excepted", ["fd00::/8", "[::1]", "localhost,10.0.0.0/8,fd00::/8"])
def test_exceptions_that_stop_a_library_do_not_reach_it(excepted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"https_proxy": DEAD, "no_proxy": excepted, "NO_PROXY": excepted}
    for proxy in (None, Proxy("https_proxy", DEAD)):
        made = with_proxy(environment, proxy)
        assert made["no_proxy"] == made["NO_PROXY"] == "localhost,127.0.0.1,::1"
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with without_proxies():
        httpx.Client().close()
    assert os.environ["NO_PROXY"] == excepted


@pytest.mark.parametrize(
    "excepted", ["fl.example.org:8443", "https://fl.example.org", "https://example.org:8443", "10.1.2.3:8443"]
)
def test_an_exception_with_a_scheme_or_a_port_counts_by_its_host(excepted: str) -> None:
    address = "10.1.2.3:8443" if excepted[0] == "1" else "fl.example.org:8443"
    assert proxy_for(address, {"https_proxy": DEAD, "no_proxy": excepted}) is None


@pytest.mark.parametrize("url", ["http://user:pa[ss@proxy:3128", "http://[::1", "user:pa]ss@proxy"])
def test_a_value_that_is_no_address_can_be_told(url: str) -> None:
    proxy = Proxy("https_proxy", url)
    assert (proxy.host, proxy.authorization) == ("", None)
    assert str(proxy) == "https_proxy=(no address)"
