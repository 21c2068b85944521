"""`rarefed-server start`: keeps the server's programs running and Flower's list of hospitals up to date."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

from common.errors import RarefedError
from common.processes.rotating_log import RotatingLog
from common.processes.supervisor import Supervisor
from common.system.files import write_json_atomically
from common.system.network_address import join_address
from server.flower.control_api import Control
from server.members.consortium import Consortium
from server.members.server_folder import ServerFolder
from server.processes.flower_nodes import Registration
from server.processes.programs import SUPEREXEC, SUPERLINK, server_programs, superlink_address
from server.processes.start_checks import check_certificates, check_installation, check_ports, close_folders, take_lock

_TICK_SECONDS = 0.5
_SYNC_SECONDS = 3.0
_STUCK = timedelta(seconds=30)
_CERTIFICATES_EVERY = timedelta(days=1)


def start_server(folder: ServerFolder, consortium: Consortium, show: Callable[[str], None]) -> None:
    """Run the server until SIGTERM, SIGINT or SIGHUP; all its processes have ended when this returns.

    Parameters
    ----------
    folder : ServerFolder
        Made by `rarefed-server provision`.
    consortium : Consortium
        Its consortium file.
    show : callable
        Takes one line per event; the same lines go to `logs/server.log`.

    Raises
    ------
    InputError
        If a certificate is missing or has expired, or Flower cannot start from where it is installed.
    RunError
        If a server runs on the folder already, or a port is taken.
    """
    with take_lock(folder):
        close_folders(folder, folder.root / consortium.server.runs)
        log = RotatingLog(folder.logs / "server.log")
        one_at_a_time = threading.Lock()

        def say(line: str) -> None:
            with one_at_a_time:
                log.write(line)
                # Whoever read the output may be gone; that must not end the server.
                with contextlib.suppress(OSError):
                    show(line)

        if why := folder.why_open():
            say(why)
        check_installation()
        check_certificates(folder, consortium, say, datetime.now(UTC))
        check_ports(consortium)
        with (
            Control(superlink_address(consortium), folder.certificate("ca"), folder.operator_secret) as control,
            Supervisor(say) as supervisor,
        ):
            server = _Server(folder, consortium, control, supervisor, say)
            for program in server_programs(folder, consortium, control):
                supervisor.start(program)
            supervisor.run_until_signal(server.tick, _TICK_SECONDS)
        folder.status.unlink(missing_ok=True)
        say("stopped")
        log.close()


class _Server:
    """The server's regular work beside keeping its programs running."""

    def __init__(
        self,
        folder: ServerFolder,
        consortium: Consortium,
        control: Control,
        supervisor: Supervisor,
        say: Callable[[str], None],
    ) -> None:
        self._folder = folder
        self._consortium = consortium
        self._control = control
        self._supervisor = supervisor
        self._say = say
        self._registration = Registration(folder, control, say)
        self._since = time.time()
        self._announced = False
        self._trouble: str | None = None
        self._next_sync = 0.0
        self._certificates_checked = datetime.now(UTC)
        self._written: dict[str, Any] = {}

    def tick(self) -> None:
        """Announce the start, look after certificates, hospitals and stuck runs, and write the status file."""
        if not self._announced and all(state.ready for state in self._supervisor.states()):
            self._announced = True
            self._say(f"started: {self._address()}")
        self.check_certificates(datetime.now(UTC))
        try:
            if self._supervisor.state(SUPERLINK).ready and time.monotonic() >= self._next_sync:
                self._next_sync = time.monotonic() + _SYNC_SECONDS
                self._registration.sync()
                self._free_stuck_runs()
                self._trouble = None
            self._write_status()
        except (RarefedError, OSError) as error:
            # A SuperLink that restarts, a full disk: the programs go on. The same trouble is reported once.
            if str(error) != self._trouble:
                self._say(str(error))
            self._trouble = str(error)

    def check_certificates(self, now: datetime) -> None:
        """Say once a day what expires soon, or has expired: a server may run for longer than its certificates."""
        if now - self._certificates_checked < _CERTIFICATES_EVERY:
            return
        self._certificates_checked = now
        try:
            check_certificates(self._folder, self._consortium, self._say, now)
        except RarefedError as error:
            self._say(str(error))

    def _address(self) -> str:
        server = self._consortium.server
        if server.gateway:
            return f"listening on {join_address(server.listen, server.port)}, as {server.host} to hospitals"
        return f"listening on {superlink_address(self._consortium)} only, for another proxy"

    def _free_stuck_runs(self) -> None:
        """Restart a SuperExec that takes no run although one waits, unless that would end a run."""
        state = self._supervisor.state(SUPEREXEC)
        now = datetime.now(UTC)
        if state.since is None or now - datetime.fromtimestamp(state.since, UTC) < _STUCK:
            return
        runs = self._control.list_runs()
        stuck = [run for run in runs if run.status == "pending" and run.submitted and now - run.submitted > _STUCK]
        if stuck and not any(run.status in ("starting", "running") for run in runs):
            self._supervisor.restart(SUPEREXEC, f"run {stuck[-1].id} waits for more than {_STUCK.seconds} s")

    def _write_status(self) -> None:
        server = self._consortium.server
        status = {
            "pid": os.getpid(),
            "since": self._since,
            "rarefed": version("rarefed"),
            "flower": version("flwr"),
            "gateway": f"{server.listen}:{server.port}" if server.gateway else None,
            "superlink": superlink_address(self._consortium),
            "programs": {state.name: asdict(state) for state in self._supervisor.states()},
        }
        if status != self._written:
            write_json_atomically(self._folder.status, status)
            self._written = status
