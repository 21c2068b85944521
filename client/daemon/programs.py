"""The programs that the daemon keeps running: Flower's SuperNode and the runner."""

import os
import sys
from pathlib import Path

from client.daemon.server_contact import STUCK_SECONDS, ServerContact
from client.flower.heartbeat import CONTACT_VARIABLE, HEARTBEAT_VARIABLE
from client.rules.hospital_file import HospitalFile
from common.processes.program import Program, Timing
from common.security.secret_file import write_secret
from common.system.offline_environment import OFFLINE_ENVIRONMENT
from common.system.proxies import Proxy, proxy_for, with_proxy

SUPERNODE, RUNNER = "supernode", "runner"
"""Names of the programs, in the daemon's status and logs."""

_TASK_POLL_SECONDS = "0.2"


def renew_secret(hospital: HospitalFile) -> None:
    """Make a new secret by which the SuperNode knows the runner."""
    write_secret(_secret(hospital))


def supernode_program(hospital: HospitalFile, contact: ServerContact) -> Program:
    """Return the program that talks to the server."""
    command = [
        # -P, here and below: nothing is imported from the working folder.
        *(sys.executable, "-P", "-m", "client.flower.supernode"),
        *("--superlink", hospital.server),
        *("--root-certificates", str(hospital.ca_certificate)),
        *("--auth-supernode-private-key", str(hospital.node_key)),
        *("--host", "127.0.0.1", "--port", str(hospital.ports.runtime)),
        *("--isolation", "process", "--superexec-auth-secret-file", str(_secret(hospital))),
    ]
    return Program(
        SUPERNODE,
        command,
        hospital.logs / "supernode.log",
        hospital.state,
        _environment(hospital, contact, proxy_for(hospital.server, os.environ)),
        ready=lambda: contact.is_fresh,
        alive=contact.supernode_works,
        on_line=contact.read_line,
        timing=Timing(longest_delay=30, start=STUCK_SECONDS),
    )


def runner_program(hospital: HospitalFile, contact: ServerContact) -> Program:
    """Return the program that answers messages."""
    arguments = ["--file", str(hospital.path), "--secret", str(_secret(hospital))]
    command = [sys.executable, "-P", "-m", "client.runner.runner", *arguments]
    environment = _environment(hospital, contact, None)
    return Program(RUNNER, command, hospital.logs / "runner.log", hospital.state, environment)


def _environment(hospital: HospitalFile, contact: ServerContact, proxy: Proxy | None) -> dict[str, str]:
    state = hospital.state
    (state / "flower").mkdir(exist_ok=True)
    return {
        **{key: value for key, value in with_proxy(os.environ, proxy).items() if not key.startswith("FLWR_")},
        **OFFLINE_ENVIRONMENT,
        # Whatever is missing must be here before, so that no training depends on the web.
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "FLWR_HOME": str(state / "flower"),
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": _TASK_POLL_SECONDS,
        "RAREFED_CACHE": str(hospital.cache),
        CONTACT_VARIABLE: str(contact.file),
        HEARTBEAT_VARIABLE: str(hospital.heartbeat_seconds),
    }


def _secret(hospital: HospitalFile) -> Path:
    return hospital.state / "runner.secret"
