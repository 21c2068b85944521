"""Hospitals in network namespaces of their own: what they can reach of the server, and what can be reached of them."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from simulations.local_federation.rehearsal import Rehearsal
from tests.production.small import HOSPITALS, PLAN, online_consortium

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed"),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

SERVER = "10.77.0.1"
BRIDGE = "rfbr0"

# Run inside a hospital: which of all ports answer, and what the gateway says to calls that are none of a hospital's.
PROBE = """
import json, socket, ssl, sys, http.client
address, port, ca = sys.argv[1], int(sys.argv[2]), sys.argv[3]
def is_open(number):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((address, number)) == 0
answers = {}
for path in sys.argv[4:]:
    connection = http.client.HTTPSConnection(address, port, context=ssl.create_default_context(cafile=ca), timeout=10)
    connection.request("POST", path, body=b"", headers={"content-type": "application/x-protobuf"})
    answers[path] = connection.getresponse().status
print(json.dumps({"open": [number for number in range(1, 65536) if is_open(number)], "answers": answers}))
"""
LISTENING = """
import json, psutil
print(json.dumps(sorted({c.laddr.ip for c in psutil.net_connections("inet") if c.status == "LISTEN"})))
"""


def network(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture(scope="module")
def namespaces() -> Iterator[dict[str, list[str]]]:
    """Give each hospital a namespace that sees the server's bridge and nothing else."""
    names = {hospital: f"rf-{hospital}" for hospital in HOSPITALS}
    with contextlib.ExitStack() as undo:
        try:
            network("link", "add", BRIDGE, "type", "bridge")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this kernel gives no network namespaces: {error.stderr.decode().strip()}")
        undo.callback(network, "link", "del", BRIDGE)
        network("addr", "add", f"{SERVER}/24", "dev", BRIDGE)
        network("link", "set", BRIDGE, "up")
        for number, name in enumerate(names.values(), start=2):
            network("netns", "add", name)
            undo.callback(network, "netns", "del", name)
            outside, inside = f"rfo{number}", f"rfi{number}"
            network("link", "add", outside, "type", "veth", "peer", "name", inside, "netns", name)
            network("link", "set", outside, "master", BRIDGE, "up")
            network("-n", name, "addr", "add", f"10.77.0.{number}/24", "dev", inside)
            network("-n", name, "link", "set", inside, "up")
            network("-n", name, "link", "set", "lo", "up")
        yield {hospital: ["ip", "netns", "exec", name] for hospital, name in names.items()}


@pytest.fixture(scope="module")
def consortium(namespaces: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rehearsal]:
    with online_consortium(tmp_path_factory.mktemp("namespaces"), address=SERVER, enter=namespaces) as rehearsal:
        yield rehearsal


def inside(enter: list[str], program: str, *arguments: str) -> Any:
    done = subprocess.run([*enter, sys.executable, "-c", program, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_federation_runs_between_namespaces(consortium: Rehearsal) -> None:
    assert consortium.server.run(PLAN) == 0
    summary = json.loads((consortium.server.runs / "latest" / "summary.json").read_bytes())
    assert [site["name"] for site in summary["dataset"]["sites"]] == list(HOSPITALS)


def test_a_hospital_reaches_one_port_and_there_only_fleet_calls(
    consortium: Rehearsal, namespaces: dict[str, list[str]]
) -> None:
    forbidden = [
        "/v1/control/register-node",
        "/v1/control/start-run",
        "/v1/control/list-runs",
        "/v1/control/stream-logs",
        "/v1/control/stop-run",
        "/v1/runtime/acquire-task",
        "/v1/fleet/register-node",
        "/v1/fleet/../control/start-run",
        "/v1/fleet/%2e%2e/control/start-run",
        "//v1/control/start-run",
        "/docs",
        "/openapi.json",
    ]
    allowed = "/v1/fleet/pull-messages"
    ca = str(consortium.hospitals["north"].folder / "ca.crt")
    found = inside(namespaces["north"], PROBE, SERVER, str(consortium.server.port), ca, *forbidden, allowed)
    # The machine's own services, such as its SSH, are no business of rarefed's.
    before = set(open_before(namespaces["north"]))
    assert set(found["open"]) - before == {consortium.server.port}
    assert {path: found["answers"][path] for path in forbidden} == dict.fromkeys(forbidden, 404)
    # Flower's own answer to a call without a signature: it came through.
    assert found["answers"][allowed] in (400, 401, 415, 422)


def open_before(enter: list[str]) -> list[int]:
    """Return the ports of the machine's services that listen on every address and are not rarefed's."""
    import psutil

    ours = {"server.flower.superlink", "server.flower.superexec", "rarefed-server"}
    ports = []
    for connection in psutil.net_connections("inet"):
        if connection.status == "LISTEN" and connection.laddr.ip in ("0.0.0.0", "::", SERVER):
            words = psutil.Process(connection.pid).cmdline() if connection.pid else []
            if not any(name in word or "server.gateway" in word for word in words for name in ours):
                ports.append(connection.laddr.port)
    return ports


def test_hospitals_listen_on_nothing_outside(consortium: Rehearsal, namespaces: dict[str, list[str]]) -> None:
    for hospital in HOSPITALS:
        assert set(inside(namespaces[hospital], LISTENING)) <= {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
