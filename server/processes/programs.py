"""The programs of the server: Flower's SuperLink and SuperExec on loopback, and the gateway in front of them.

The SuperLink serves operators and hospitals on one port and cannot tell them apart, so it listens on loopback, and
hospitals reach it only through the gateway. ServerApps run under a separate SuperExec that shares a secret with the
SuperLink: a run survives a killed SuperLink, and nobody else can take its tasks. Both are Flower's, but for
two changes: the SuperLink's operators' side needs a secret, and the SuperExec runs the installed app and no other.
"""

import contextlib
import os
import re
import socket
import ssl
import sys
from pathlib import Path

from common.processes.program import Program, Timing
from common.security.secret_file import keep_secret
from common.system.offline_environment import OFFLINE_ENVIRONMENT
from common.system.proxies import with_proxy
from server.flower.control_api import Control
from server.flower.operator_secret import SECRET_VARIABLE
from server.flower.run_lock import LOCK_VARIABLE
from server.members.consortium import Consortium
from server.members.server_folder import FOLDER_VARIABLE, ServerFolder

SUPERLINK, SUPEREXEC, GATEWAY = "superlink", "superexec", "gateway"

# Requests that the supervisor makes every few seconds; they are left out of the log.
_CHATTER = re.compile(r"ControlServicer\.List(Nodes|Runs)|/v1/control/list-(nodes|runs) .* 200$|GET /health ")
_PROBE_SECONDS = 5.0
# A SuperLink that moves large models may be slow to answer for a while.
_SUPERLINK_TIMING = Timing(grace=20, patience=12)


def superlink_address(consortium: Consortium) -> str:
    """Return host and port of the SuperLink, for commands on this machine."""
    return f"127.0.0.1:{consortium.server.superlink_port}"


def server_programs(folder: ServerFolder, consortium: Consortium, control: Control) -> list[Program]:
    """Return the server's programs in the order of their start.

    Parameters
    ----------
    folder : ServerFolder
        Provisioned.
    consortium : Consortium
        Ports and addresses.
    control : Control
        Says whether the SuperLink answers.
    """
    environment = _environment(folder)
    address = superlink_address(consortium)
    host, port = address.split(":")
    folder.superlink.mkdir(mode=0o700, exist_ok=True)
    keep_secret(folder.superexec_secret)
    keep_secret(folder.operator_secret)
    secret = ["--superexec-auth-secret-file", str(folder.superexec_secret)]
    ca = str(folder.certificate("ca"))
    superlink = [
        *(*_module("server.flower.superlink"), "--host", host, "--port", port),
        *("--ssl-ca-certfile", ca),
        *("--ssl-certfile", str(folder.certificate("loopback")), "--ssl-keyfile", str(folder.key("loopback"))),
        *("--enable-supernode-auth", "--database", str(folder.superlink / "state.db")),
        *("--isolation", "process", *secret, "--disable-runtime-dependency-installation"),
    ]
    superexec = [
        *(*_module("server.flower.superexec"), "--runtime-api-address", address, "--root-certificates", ca, *secret),
        *("--parent-pid", str(os.getpid())),
    ]
    programs = [
        Program(
            SUPERLINK,
            superlink,
            folder.logs / "superlink.log",
            folder.superlink,
            {**environment, SECRET_VARIABLE: str(folder.operator_secret)},
            ready=control.healthy,
            alive=control.healthy,
            keep=lambda line: not _CHATTER.search(line),
            timing=_SUPERLINK_TIMING,
        ),
        Program(SUPEREXEC, superexec, folder.logs / "superexec.log", folder.superlink, environment),
    ]
    if consortium.server.gateway:
        programs.append(_gateway(folder, consortium, environment))
    return programs


def _gateway(folder: ServerFolder, consortium: Consortium, environment: dict[str, str]) -> Program:
    server = consortium.server
    ca = folder.certificate("ca")
    command = [
        *(*_module("server.gateway"), "--listen", server.listen, "--port", str(server.port)),
        *("--upstream", f"https://{superlink_address(consortium)}", "--upstream-ca", str(ca)),
        *("--certificate", str(folder.certificate("gateway")), "--key", str(folder.key("gateway"))),
        *("--folder", str(folder.root), "--limit", f"bytes_per_hour={int(server.gigabytes_per_hour * 1e9)}"),
    ]

    def answers() -> bool:
        return _answers(server.listen, server.port, ca)

    log = folder.logs / "gateway.log"
    return Program(GATEWAY, command, log, folder.superlink, environment, ready=answers, alive=answers)


def _environment(folder: ServerFolder) -> dict[str, str]:
    # Settings for another Flower in the operator's shell are not meant for this one.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FLWR_")}
    return {
        # All of them call this machine only.
        **with_proxy(environment, None),
        **OFFLINE_ENVIRONMENT,
        "FLWR_HOME": str(folder.superlink),
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": "0.5",
        FOLDER_VARIABLE: str(folder.root),
        LOCK_VARIABLE: str(folder.run_lock),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", os.defpath)]),
    }


def _module(name: str) -> tuple[str, ...]:
    # -P: nothing is imported from the working directory.
    return (sys.executable, "-P", "-m", name)


def _answers(listen: str, port: int, ca: Path) -> bool:
    """Say whether the gateway completes a TLS handshake with a certificate of the federation's CA."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen, listen)
    with contextlib.suppress(OSError):
        context = ssl.create_default_context(cafile=str(ca))
        # The certificate names the host that hospitals connect to, which need not be the address it listens on.
        context.check_hostname = False
        with socket.create_connection((host, port), _PROBE_SECONDS) as plain, context.wrap_socket(plain):
            return True
    return False
