"""A federation whose hospitals reach their server through a real forward proxy, as in most hospitals."""

import contextlib
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.system.ports import free_port
from tests.production.small import PLAN, environment, joined_consortium
from tests.waiting import wait_for

pytestmark = pytest.mark.slow


def own_address() -> str:
    """Return this machine's address on a network, which no library takes for loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("198.51.100.1", 9))  # sends nothing
        return str(probe.getsockname()[0])
    pytest.skip("this machine has no address but its loopback")


@contextlib.contextmanager
def tinyproxy(folder: Path) -> Iterator[tuple[str, Path]]:
    """A running tinyproxy: its address, and its log."""
    if not shutil.which("tinyproxy"):
        pytest.skip("tinyproxy is not installed")
    port, log, settings = free_port(), folder / "tinyproxy.log", folder / "tinyproxy.conf"
    settings.write_text(f'Port {port}\nListen 127.0.0.1\nTimeout 600\nLogFile "{log}"\nLogLevel Connect\n')
    process = subprocess.Popen(["tinyproxy", "-d", "-c", str(settings)], stdout=subprocess.DEVNULL)
    try:
        wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "tinyproxy to listen")
        yield f"http://127.0.0.1:{port}", log
    finally:
        process.terminate()
        process.wait()


def test_a_federation_through_a_forward_proxy(tmp_path: Path) -> None:
    address = own_address()
    with tinyproxy(tmp_path) as (proxy, log):
        # http_proxy leads nowhere: what any process sends there of this machine's own calls is lost.
        named = environment(http_proxy="http://127.0.0.1:9", HTTP_PROXY="http://127.0.0.1:9", https_proxy=proxy)
        with named, joined_consortium(tmp_path, ("east",), impatient=True, address=address) as rehearsal:
            hospital = rehearsal.hospitals["east"]
            checked = json.loads(hospital.command("check", "--json", check=False).stdout)
            hospital.start()
            hospital.wait_online()
            code = rehearsal.server.run({**PLAN, "federation.rounds": 1, "federation.min_sites": 1})
            gateway = f"{address}:{rehearsal.server.port}"
        assert code == 0
        assert [each["found"] for each in checked["findings"] if f"leads to {gateway}" in each["found"]]
        assert f"CONNECT {gateway}" in log.read_text()
        assert "127.0.0.1:" not in "".join(line for line in log.read_text().splitlines() if "CONNECT" in line)
