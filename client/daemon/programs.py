"""The programs that the daemon keeps running: Flower's SuperNode and the runner."""

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from client.daemon.server_contact import STUCK_SECONDS, ServerContact
from client.flower.heartbeat import CONTACT_VARIABLE, FILE_VARIABLE, HEARTBEAT_VARIABLE
from client.rules.hospital_file import HospitalFile
from common.processes.program import Program, Timing
from common.security.secret_file import write_secret
from common.system.offline_environment import OFFLINE_ENVIRONMENT
from common.system.proxies import proxy_for, with_proxy

SUPERNODE, RUNNER = "supernode", "runner"
"""Names of the programs, in the daemon's status and logs."""

_TASK_POLL_SECONDS = "0.2"
# What an interpreter, its libraries and a GPU's driver go by; tokens and passwords of other programs are none of it.
_NEEDED = re.compile(
    r"(PATH|HOME|USER|LANG|TZ|TMPDIR)$|"
    r"(LC_|XDG_|LD_|PYTHON|RAREFED_|OMP_|MKL_|KMP_|OPENBLAS_|TORCH_|PYTORCH_|CUDA_|NVIDIA_|HIP_|ROCR_)"
)


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
        _environment(hospital, contact, with_proxy(os.environ, proxy_for(hospital.server, os.environ))),
        ready=lambda: contact.is_fresh,
        alive=contact.supernode_works,
        on_line=contact.read_line,
        timing=Timing(longest_delay=30, start=STUCK_SECONDS),
    )


def runner_program(hospital: HospitalFile, contact: ServerContact) -> Program:
    """Return the program that answers messages."""
    arguments = ["--file", str(hospital.path), "--secret", str(_secret(hospital))]
    command = [sys.executable, "-P", "-m", "client.runner.runner", *arguments]
    # A hostile image that takes over what the runner forks reads its environment too.
    needed = {key: value for key, value in os.environ.items() if _NEEDED.match(key)}
    environment = _environment(hospital, contact, with_proxy(needed, None))
    return Program(RUNNER, command, hospital.logs / "runner.log", hospital.state, environment)


def _environment(hospital: HospitalFile, contact: ServerContact, given: Mapping[str, str]) -> dict[str, str]:
    state = hospital.state
    (state / "flower").mkdir(exist_ok=True)
    return {
        **{key: value for key, value in given.items() if not key.startswith("FLWR_")},
        **OFFLINE_ENVIRONMENT,
        # Whatever is missing must be here before, so that no training depends on the web.
        "HF_HUB_OFFLINE": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "FLWR_HOME": str(state / "flower"),
        "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": _TASK_POLL_SECONDS,
        "RAREFED_CACHE": str(hospital.cache),
        CONTACT_VARIABLE: str(contact.file),
        FILE_VARIABLE: str(hospital.path),
        HEARTBEAT_VARIABLE: str(hospital.heartbeat_seconds),
    }


def _secret(hospital: HospitalFile) -> Path:
    return hospital.state / "runner.secret"
