"""The hospital's daemon: keeps Flower's SuperNode and the runner going, for ever, and says how they are."""

import contextlib
import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from client.daemon.health import HealthServer
from client.flower.heartbeat import HEARTBEAT_VARIABLE
from client.flower.supernode import CONTACT_VARIABLE
from client.preflight.connection import diagnose_connection
from client.preflight.findings import Status
from client.rules.audit_log import AuditLog, Event
from client.rules.hospital_file import HospitalFile
from common.errors import InputError, RunError
from common.processes.program import Program, ProgramState, Timing
from common.processes.rotating_log import RotatingLog
from common.processes.supervisor import Supervisor
from common.system.files import try_lock, write_bytes_atomically, write_json_atomically
from common.system.offline_environment import OFFLINE_ENVIRONMENT

_NODE, _RUNNER = "supernode", "runner"
_TICK_SECONDS = 2.0
# In heartbeats: a contact older than this is no contact. The server gives a hospital up after two.
_FRESH_BEATS = 2.5
# After a crash the server takes the node for online, and refuses its key, for two heartbeats and some delay.
_AFTER_CRASH_BEATS = 3
# So long may a server that answers others not hear of us, until the SuperNode counts as stuck.
_STUCK_SECONDS = 180.0
_KEY_REFUSED = "[code: 2004]"
_TASK_POLL_SECONDS = "0.2"
_DIGITS = re.compile(r"\d+")


class Daemon:
    """Runs until SIGTERM or Ctrl-C.

    Parameters
    ----------
    hospital : HospitalFile
        The hospital's own file.
    say : callable
        Takes one line an event.
    """

    def __init__(self, hospital: HospitalFile, say: Callable[[str], None]) -> None:
        self._hospital = hospital
        self._log = RotatingLog(hospital.logs / "daemon.log")
        self._print = say
        self._fresh_seconds = _FRESH_BEATS * hospital.heartbeat_seconds
        self._contact = hospital.state / "contact"
        self._secret = hospital.state / "runner.secret"
        self._audit = AuditLog(hospital.audit_log)
        self._since = time.time()
        self._refused_since: float | None = None
        self._online = False
        self._restarts = 0
        self._problem: str | None = None

    def run(self) -> None:
        """Keep everything going; returns after a clean stop.

        Raises
        ------
        InputError
            If the hospital has not enrolled, or its audit log is damaged.
        RunError
            If another daemon uses the state folder, or a port is taken.
        """
        hospital = self._hospital
        if not hospital.node_key.exists():
            raise InputError(f"{hospital.node_key} does not exist: run `rarefed-hospital enroll` first")
        if not hospital.ca_certificate.exists():
            raise InputError(f"{hospital.ca_certificate} does not exist: it came with the start kit (ca_certificate)")
        with _only_one(hospital.state / "daemon.lock"):
            head = self._audit.verify()
            for port in (hospital.ports.runtime, hospital.ports.health):
                _check_free(port)
            write_bytes_atomically(self._secret, secrets.token_bytes(32), 0o600)
            self._contact.unlink(missing_ok=True)
            self._audit.append(Event.STARTED, rarefed=version("rarefed"), flwr=version("flwr"))
            self._say(f"{hospital.name}: starting, audit log with {head.records} records is whole")
            with HealthServer(hospital.ports.health) as health, Supervisor(self._say) as supervisor:
                supervisor.start(self._runner())
                supervisor.start(self._node())
                supervisor.run_until_signal(lambda: self._tick(supervisor, health), _TICK_SECONDS)
            self._audit.append(Event.STOPPED)
            self._say("stopped")
            self._write_status([])
        self._log.close()

    def _tick(self, supervisor: Supervisor, health: HealthServer) -> None:
        online = self._contact_age() < self._fresh_seconds and supervisor.state(_NODE).pid is not None
        if online != self._online:
            self._online = online
            self._say(f"online at {self._hospital.server}" if online else "offline: the server does not hear of us")
            if online:
                self._refused_since = self._problem = None
        restarts = supervisor.state(_NODE).restarts
        if restarts > self._restarts and not online and (problem := self._diagnosis()):
            # Flower's SuperNode gives no reason that a person could act on, and may even end with exit code 0.
            self._complain(problem)
        self._restarts = restarts
        health.serving = online and supervisor.state(_RUNNER).pid is not None
        self._write_status(supervisor.states())

    def _node(self) -> Program:
        hospital = self._hospital
        command = [
            *(sys.executable, "-m", "client.flower.supernode"),
            *("--superlink", hospital.server),
            *("--root-certificates", str(hospital.ca_certificate)),
            *("--auth-supernode-private-key", str(hospital.node_key)),
            *("--host", "127.0.0.1", "--port", str(hospital.ports.runtime)),
            *("--isolation", "process", "--superexec-auth-secret-file", str(self._secret)),
        ]
        return Program(
            _NODE,
            command,
            hospital.logs / "supernode.log",
            hospital.state,
            self._environment(),
            ready=lambda: self._contact_age() < self._fresh_seconds,
            alive=self._node_works,
            on_line=self._read_node,
            timing=Timing(longest_delay=30, start=_STUCK_SECONDS),
        )

    def _runner(self) -> Program:
        hospital = self._hospital
        arguments = ["--file", str(hospital.path), "--secret", str(self._secret)]
        command = [sys.executable, "-m", "client.runner.runner", *arguments]
        return Program(_RUNNER, command, hospital.logs / "runner.log", hospital.state, self._environment())

    def _environment(self) -> dict[str, str]:
        state = self._hospital.state
        (state / "flower").mkdir(exist_ok=True)
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith("FLWR_")},
            **OFFLINE_ENVIRONMENT,
            # Whatever is missing must be here before, so that no training depends on the web.
            "HF_HUB_OFFLINE": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
            "FLWR_HOME": str(state / "flower"),
            "FLWR_SUPEREXEC_TASK_POLL_INTERVAL": _TASK_POLL_SECONDS,
            # What is computed from images is as private as they are.
            "RAREFED_CACHE": str(state / "cache"),
            CONTACT_VARIABLE: str(self._contact),
            HEARTBEAT_VARIABLE: str(self._hospital.heartbeat_seconds),
        }

    def _node_works(self) -> bool:
        """Tell a stuck SuperNode from one whose server is away: only the first is helped by a restart."""
        if self._contact_age() < _STUCK_SECONDS:
            return True
        return self._diagnosis() is not None

    def _read_node(self, line: str) -> None:
        if _KEY_REFUSED in line:
            self._refused_since = self._refused_since or time.monotonic()
            waited = time.monotonic() - self._refused_since
            if waited < _AFTER_CRASH_BEATS * self._hospital.heartbeat_seconds:
                forgets = 2 * self._hospital.heartbeat_seconds
                self._say(
                    f"the server refuses this hospital's key, as it does for {forgets} s after a crash; trying again"
                )
            else:
                self._complain(
                    f"the server has refused this hospital's key for {waited:.0f} s: it was not approved, or was "
                    "revoked, or another daemon is online with it; ask the coordinator to compare the fingerprint that "
                    "`rarefed-hospital enroll` prints, and stop the other daemon"
                )

    def _diagnosis(self) -> str | None:
        """Return what keeps this hospital from its server, and how to mend it; None if nothing does."""
        for finding in diagnose_connection(self._hospital):
            if finding.status == Status.FAILED:
                return f"{finding.found}: {finding.mend}" if finding.mend else finding.found
        return None

    def _complain(self, problem: str) -> None:
        # The same with another number of seconds is not said again.
        if _DIGITS.sub("", problem) != _DIGITS.sub("", self._problem or ""):
            self._say(problem)
        self._problem = problem

    def _contact_age(self) -> float:
        try:
            return time.time() - self._contact.stat().st_mtime
        except OSError:
            return time.time() - self._since if self._online else float("inf")

    def _say(self, line: str) -> None:
        self._log.write(line)
        self._print(line)

    def _write_status(self, states: list[ProgramState]) -> None:
        age = self._contact_age()
        content: dict[str, Any] = {
            "hospital": self._hospital.name,
            "server": self._hospital.server,
            "rarefed": version("rarefed"),
            "flwr": version("flwr"),
            "pid": os.getpid(),
            "since": self._since,
            "online": self._online and bool(states),
            "last_contact_seconds": round(age, 1) if age != float("inf") else None,
            "problem": self._problem,
            "processes": {
                state.name: {"pid": state.pid, "restarts": state.restarts, "last_exit": state.last_exit}
                for state in states
            },
        }
        with contextlib.suppress(OSError):  # a full disk must not end the daemon
            write_json_atomically(status_file(self._hospital), content)


def status_file(hospital: HospitalFile) -> Path:
    """Return where a daemon says how it is."""
    return hospital.state / "daemon.json"


def running(hospital: HospitalFile) -> bool:
    """Say whether a daemon uses this hospital's state folder."""
    path = hospital.state / "daemon.lock"
    if not path.exists():
        return False
    with path.open("rb") as stream:
        return not try_lock(stream)


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    with path.open("ab") as stream:
        if not try_lock(stream):
            raise RunError(f"another daemon uses {path.parent}: stop it first (rarefed-hospital status)")
        yield


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise RunError(
                f"port {port} of the loopback interface is taken: choose another in hospital.yaml (ports)"
            ) from error
