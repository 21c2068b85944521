"""The hospital's daemon: keeps Flower's SuperNode and the runner going, for ever, and says how they are."""

import os
import time
from collections.abc import Callable
from importlib.metadata import version

from client.daemon.health import HealthServer
from client.daemon.programs import RUNNER, SUPERNODE, renew_secret, runner_program, supernode_program
from client.daemon.runtime_port import port_problem
from client.daemon.server_contact import ServerContact
from client.daemon.status import only_daemon, write_status
from client.exposure.plan_approval import tell_waiting, waiting_plans
from client.rules.audit_log import AuditLog, Event
from client.rules.hospital_file import HospitalFile
from common.errors import InputError, RunError
from common.processes.program import ProgramState
from common.processes.rotating_log import RotatingLog
from common.processes.supervisor import Supervisor
from common.security.node_key import read_node_key
from common.system.loopback import taken_words
from common.system.ports import is_free
from common.system.wording import printable

_TICK_SECONDS = 2.0


class Daemon:
    """Runs until SIGTERM or Ctrl-C.

    Parameters
    ----------
    hospital : HospitalFile
        The hospital's own file.
    say : callable
        Takes one line per event.
    """

    def __init__(self, hospital: HospitalFile, say: Callable[[str], None]) -> None:
        self._hospital = hospital
        self._log = RotatingLog(hospital.logs / "daemon.log")
        self._print = say
        self._audit = AuditLog(hospital.audit_log)
        self._contact = ServerContact(hospital, self._say)
        self._port_problem: str | None = None
        self._waiting_plans: list[str] = []
        self._since = time.time()

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
        read_node_key(hospital.node_key)
        if not hospital.ca_certificate.exists():
            raise InputError(f"{hospital.ca_certificate} does not exist: it came with the start kit (ca_certificate)")
        with only_daemon(hospital.state):
            head = self._audit.verify()
            for port in (hospital.ports.runtime, hospital.ports.health):
                if not is_free(port):
                    raise RunError(f"{taken_words(port)}: choose another in hospital.yaml (ports)")
            renew_secret(hospital)
            self._contact.file.unlink(missing_ok=True)
            self._audit.append(Event.STARTED, rarefed=version("rarefed"), flwr=version("flwr"))
            self._say(f"{hospital.name}: starting, audit log with {head.records} records is whole")
            with HealthServer(hospital.ports.health) as health, Supervisor(self._say) as supervisor:
                supervisor.start(runner_program(hospital, self._contact))
                supervisor.start(supernode_program(hospital, self._contact))
                supervisor.run_until_signal(lambda: self._tick(supervisor, health), _TICK_SECONDS)
            self._audit.append(Event.STOPPED)
            self._say("stopped")
            self._write_status([])
        self._log.close()

    def _tick(self, supervisor: Supervisor, health: HealthServer) -> None:
        supernode = supervisor.state(SUPERNODE)
        self._contact.update(supernode.pid is not None, supernode.restarts)
        health.serving = self._contact.online and supervisor.state(RUNNER).pid is not None
        self._tell_port_problem(port_problem(self._hospital.ports.runtime, supernode.pid is not None))
        self._tell_waiting_plans()
        self._write_status(supervisor.states())

    def _tell_port_problem(self, problem: str | None) -> None:
        if problem and problem != self._port_problem:
            self._say(problem)
        self._port_problem = problem

    def _tell_waiting_plans(self) -> None:
        waiting = waiting_plans(self._hospital)
        if set(waiting) - set(self._waiting_plans):
            self._say(tell_waiting(waiting))
        self._waiting_plans = waiting

    def _say(self, line: str) -> None:
        line = printable(line)
        self._log.write(line)
        self._print(line)

    def _write_status(self, states: list[ProgramState]) -> None:
        age = self._contact.age
        processes = {
            state.name: {"pid": state.pid, "restarts": state.restarts, "last_exit": state.last_exit} for state in states
        }
        write_status(
            self._hospital.state,
            {
                "hospital": self._hospital.name,
                "server": self._hospital.server,
                "rarefed": version("rarefed"),
                "flwr": version("flwr"),
                "pid": os.getpid(),
                "since": self._since,
                "online": self._contact.online and bool(states),
                "last_contact_seconds": round(age, 1) if age != float("inf") else None,
                "problem": self._port_problem or self._contact.problem,
                "waiting_plans": self._waiting_plans,
                "processes": processes,
            },
        )
