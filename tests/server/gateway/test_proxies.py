"""The gateway's rules as configurations of nginx and Caddy, with the real programs where they are installed."""

import contextlib
import getpass
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from flwr.supercore.primitives.asymmetric import generate_key_pairs

from common.system.ports import free_port
from server.gateway.app import FLEET_ROUTES
from server.gateway.member_keys import MemberKeys
from tests.places import ROOT
from tests.server.gateway.certificates import Authority
from tests.server.gateway.door import ANOTHER, FORBIDDEN, PULL, Door, answer_on
from tests.server.gateway.members import signed_by
from tests.waiting import wait_for

DEPLOY = ROOT / "deploy"


def nginx_command(folder: Path, configuration: str) -> list[str]:
    """Return the command line of an nginx in the foreground that keeps to a folder."""
    (folder / "rarefed.conf").write_text(configuration)
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    (folder / "nginx.conf").write_text(
        f"daemon off; user {getpass.getuser()}; pid {folder}/pid; error_log {folder}/log;\nevents {{}}\nhttp {{\n"
        + "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        + f"include {folder}/rarefed.conf;\n}}\n"
    )
    return [shutil.which("nginx") or "", "-p", str(folder), "-e", str(folder / "log"), "-c", str(folder / "nginx.conf")]


def caddy_command(folder: Path, configuration: str) -> list[str]:
    """Return the command line of a Caddy in the foreground."""
    (folder / "Caddyfile").write_text(configuration)
    return [shutil.which("caddy") or "", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


PROXIES = {"nginx": ("nginx.conf", nginx_command), "caddy": ("Caddyfile", caddy_command)}


@contextlib.contextmanager
def proxy_for(name: str, upstream: int, authority: Authority, folder: Path, **changes: str):
    """Run a proxy with its file of deploy/, the file's examples of paths, ports and `changes` put in place."""
    if not shutil.which(name):
        pytest.skip(f"{name} is not installed")
    file, command = PROXIES[name]
    # Of all addresses: the tests of many connections leave ports in TIME-WAIT at others than the usual one.
    port = free_port("")
    etc = folder / "etc"
    etc.mkdir()
    for source, target in zip(authority.issue(name), ("server.crt", "server.key"), strict=True):
        shutil.copy(source, etc / target)
    shutil.copy(authority.path, etc / "ca.crt")
    keys = MemberKeys(authority.members.folder).hospitals()
    (etc / "members.map").write_text("".join(f'"{key}" "{hospital}";\n' for key, hospital in keys.items()))
    text = (DEPLOY / file).read_text()
    for old, new in {"/etc/rarefed": str(etc), "8443": str(port), "9091": str(upstream), **changes}.items():
        assert old in text
        text = text.replace(old, new)
    line = command(folder, text)
    if name == "nginx":
        checked = subprocess.run([*line, "-t"], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
    log = folder / "output"
    home = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    with log.open("w") as stream:
        process = subprocess.Popen(line, stdout=stream, stderr=stream, env=home)
    try:
        door = Door(port, authority.path, process, log, authority.members)
        while True:
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(ConnectionRefusedError):
                door.connect().close()
                break
            time.sleep(0.05)
        yield door
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module", params=PROXIES)
def door(request, authority, _running, tmp_path_factory):
    with proxy_for(request.param, _running.port, authority, tmp_path_factory.mktemp(request.param)) as door:
        yield door


def test_the_fleet_calls_pass(door, upstream):
    body = bytes(range(256)) * 20_000
    upstream.body = body[::-1]
    for route in FLEET_ROUTES:
        answer = door.call(route, body)
        assert (answer.status, answer.text) == (200, upstream.body)
        assert answer.getheader("date")
    assert [line for line, _, _ in upstream.requests] == [f"POST {route} HTTP/1.1" for route in FLEET_ROUTES]
    assert all(sent == body for _, _, sent in upstream.requests)


def test_nothing_else_passes(door, upstream):
    for target in FORBIDDEN:
        answer = door.call(target)
        # A proxy takes the host off an absolute target, and what remains may be a fleet call.
        assert answer.status in ((200,) if target.endswith("0.1" + PULL) else (400, 404)), target
    assert {line for line, _, _ in upstream.requests} <= {f"POST {PULL} HTTP/1.1"}


def test_other_methods_are_refused(door, upstream):
    assert {door.call(method=method).status for method in ("GET", "PUT", "DELETE")} == {405}
    assert door.call("/health").status == 405
    assert not upstream.requests


def test_the_nodes_headers_pass_and_claims_about_the_caller_do_not(door, upstream):
    signature = {"content-type": "application/x-protobuf", **door.members.signature("north")}
    door.call(headers={**signature, "x-forwarded-for": "10.0.0.1", "flwr-task-token": "t", "cookie": "c=1"})
    got = upstream.requests[0][1]
    assert signature.items() <= got.items()
    assert not got.keys() & {"x-forwarded-for", "x-forwarded-host", "flwr-task-token", "cookie"}


def test_health_is_that_of_the_upstream(door, upstream):
    assert door.call("/health", b"", "GET").status == 200
    upstream.status = 500
    assert door.call("/health", b"", "GET").status == 503


def test_a_failing_upstream_is_answered_503(door, upstream):
    for status in (500, 501, 502, 503, 504):
        upstream.status, upstream.body = status, b"Traceback of the upstream"
        answer = door.call()
        assert (answer.status, answer.getheader("retry-after")) == (503, "5")
        assert b"Traceback" not in answer.text


def test_a_refusal_by_the_upstream_passes(door, upstream):
    for status in (400, 401, 403, 404):
        upstream.status, upstream.body = status, b'{"code": 2004}'
        assert (door.call().status, door.call().text) == (status, upstream.body)


def test_a_large_body_is_refused(door, upstream):
    assert door.call(body=bytes(8 * 2**20)).status == 200
    assert door.send(door.head(PULL, 8 * 2**20 + 1), bytes(8 * 2**20 + 1)).status == 413


@pytest.mark.parametrize("name", PROXIES)
def test_an_absent_upstream_is_answered_503(name, authority, tmp_path):
    port = free_port()
    with proxy_for(name, port, authority, tmp_path) as door:
        answer = door.call()
        assert (answer.status, answer.getheader("retry-after")) == (503, "5")


def test_the_rate_is_limited(upstream, authority, tmp_path):
    slow = {"rate=50r/s": "rate=1r/m", "burst=500": "burst=2"}
    with proxy_for("nginx", upstream.port, authority, tmp_path, **slow) as door:
        answers = [door.call() for _ in range(4)]
        assert [answer.status for answer in answers] == [200, 200, 200, 503]
        assert answers[3].getheader("retry-after") == "5"
        # A hospital is counted by its name.
        assert door.call(hospital="south").status == 200


def test_whoever_knows_a_hospitals_key_takes_nothing_of_it_from_elsewhere(upstream, authority, tmp_path):
    """A key is public, and nginx checks no signature."""
    slow = {"rate=50r/s": "rate=1r/m", "burst=500": "burst=2"}
    with proxy_for("nginx", upstream.port, authority, tmp_path, **slow) as door, contextlib.ExitStack() as held:
        for expected in (200, 200, 200, 503):
            sock = held.enter_context(door.connect(source=ANOTHER))
            sock.sendall(door.head(PULL, 0))
            assert answer_on(sock).status == expected
        assert door.call().status == 200


def test_whoever_knows_a_hospitals_key_takes_nothing_of_others_from_many_addresses(upstream, authority, tmp_path):
    few = {"rarefed_hospital 128": "rarefed_hospital 20"}
    with proxy_for("nginx", upstream.port, authority, tmp_path, **few) as door, contextlib.ExitStack() as held:
        for number in range(40):
            sock = held.enter_context(door.connect(source=f"127.0.0.{20 + number}"))
            sock.sendall(door.head(PULL, 1_000_000, hospital="east") + b"half")
        wait_for(lambda: door.call(hospital="east").status == 503, "the hospital's places to be taken", 5)
        assert door.call(hospital="north").status == 200


def test_nginx_waits_for_nothing_of_a_stranger(upstream, authority, tmp_path):
    with proxy_for("nginx", upstream.port, authority, tmp_path) as door, contextlib.ExitStack() as held:
        for i in range(75):
            sock = held.enter_context(door.connect(source=f"127.0.0.{2 + i % 5}"))
            sock.sendall(door.head(PULL, 1_000_000, hospital=None) + b"half")
        assert answer_on(sock).status == 401
        assert door.call().status == 200
        assert door.call("/health", b"", "GET", hospital=None).status == 200
        activation = door.call("/v1/fleet/activate-node", headers=signed_by(generate_key_pairs()[0]), hospital=None)
        assert (activation.status, json.loads(activation.text)["code"]) == (412, 2004)


def test_nginx_says_at_health_by_which_name_it_knows_a_key(upstream, authority, tmp_path):
    with proxy_for("nginx", upstream.port, authority, tmp_path) as door:
        stranger = signed_by(generate_key_pairs()[0])
        known = [
            door.call("/health", b"", "GET", hospital="south"),
            door.call("/health", b"", "GET", stranger, None),
            door.call("/health", b"", "GET", hospital=None),
            door.call(hospital="south"),
        ]
        assert [answer.headers["rarefed-hospital"] for answer in known] == ["south", "-", None, None]


def test_what_a_hospital_sends_by_halves_takes_its_own_places_in_nginx(upstream, authority, tmp_path):
    with proxy_for("nginx", upstream.port, authority, tmp_path) as door, contextlib.ExitStack() as held:
        for _ in range(75):
            sock = held.enter_context(door.connect())
            sock.sendall(door.head(PULL, 1_000_000, hospital="east") + b"half")
        wait_for(lambda: door.call(hospital="east").status == 503, "the hospital's places to be taken", 5)
        assert door.call(hospital="north").status == 200


@pytest.mark.parametrize("beginning", [b"", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_nginx_cuts_who_does_not_come_to_the_end_of_a_head(authority, tmp_path, beginning):
    with (
        proxy_for("nginx", 9, authority, tmp_path, **{"client_header_timeout 10s": "client_header_timeout 1s"}) as door,
        socket.create_connection(("127.0.0.1", door.port), 5) as sock,
    ):
        sock.sendall(beginning)
        with contextlib.suppress(ConnectionResetError):
            assert sock.recv(1) == b""


def test_client_certificates_can_be_asked_for(upstream, authority, tmp_path):
    clients = Authority(tmp_path / "clients")
    etc = tmp_path / "etc"
    text = (DEPLOY / "nginx-mtls.conf").read_text().replace("/etc/rarefed/clients-ca.crt", str(clients.path))
    (tmp_path / "nginx-mtls.conf").write_text(text)
    included = {f"{etc}/nginx-mtls*.conf": f"{tmp_path}/nginx-mtls*.conf"}
    with proxy_for("nginx", upstream.port, authority, tmp_path, **included) as door:
        assert door.call(identity=clients.issue("hospital")).status == 200
        assert door.call().status == 400
        assert door.call(identity=Authority(tmp_path / "others").issue("hospital")).status == 400
    assert len(upstream.requests) == 1
