"""A federation of real processes that can be stopped, killed and deceived at a named point of a round."""

import contextlib
import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from simulations.local_federation.rehearsal import Rehearsal
from tests.production.small import PLAN, environment, online_consortium
from tests.waiting import wait_for

HOSPITALS = ("north", "south")

# All must take part in every round: so what is lost must be made good, and the weights can be compared bit for bit. The
# last round's model holds the work of all rounds; the best one might be the first, whatever became of the others.
ALL_MUST: dict[str, Any] = PLAN | {
    "federation.min_sites": len(HOSPITALS),
    "federation.round_attempts": 40,
    "federation.retry_seconds": 1.0,
    "federation.wait_seconds": 90.0,
    "federation.round_seconds": 120.0,
    "federation.quarantine_after": 0,
    "federation.select": "last",
}
# The server takes a silent hospital for dead after twice the heartbeat; and many runs fit in a day here.
SETTINGS: dict[str, Any] = {
    "heartbeat_seconds": 10,
    "rules": {"rounds_per_day": 100_000},
    # A process at an armed point leaves a mark in a folder of this test.
    "limits": {"sandbox": "off"},
}


class Stage:
    """A consortium that runs, and what can be done to it.

    Parameters
    ----------
    rehearsal : Rehearsal
        Server and hospitals, all online.
    folder : Path
        Where points are armed; RAREFED_FAULTS of all processes.
    """

    def __init__(self, rehearsal: Rehearsal, folder: Path) -> None:
        self.rehearsal = rehearsal
        self._folder = folder
        self._resumed = 0

    def arm(self, point: str, hospital: str | None = None, round_number: int | None = None) -> None:
        """Have the next process that comes to a point wait there."""
        (self._folder / f"{point}.reached").unlink(missing_ok=True)
        wanted = {"hospital": hospital, "round": round_number}
        (self._folder / point).write_text(json.dumps({key: value for key, value in wanted.items() if value}))

    def wait_reached(self, point: str, seconds: float = 240) -> psutil.Process:
        """Wait until a process has come to an armed point, resuming a lost run; it stays there until `release`."""
        reached = self._folder / f"{point}.reached"

        def is_reached() -> bool:
            self._resume_if_lost()
            return reached.exists() and reached.read_text() != ""

        wait_for(is_reached, f"{point} to be reached", seconds)
        return psutil.Process(int(reached.read_text()))

    def release(self, point: str) -> None:
        """Let the process at a point go on; disarm it if none came."""
        for name in (point, f"{point}.reached"):
            (self._folder / name).unlink(missing_ok=True)

    def spoil(self, hospital: str, ways: dict[int, str]) -> None:
        """Have a hospital's reply to the given rounds be malformed; see `inject/malformed.py`."""
        (self._folder / f"malformed.{hospital}.json").write_text(json.dumps(ways))

    def shift_clock(self, who: str, seconds: float) -> None:
        """Let the clock of a hospital, or of "server", jump; 0: back to the true time."""
        (self._folder / f"clock.{who}").write_text(str(seconds))

    def processes(self, kind: str, hospital: str = HOSPITALS[0]) -> list[psutil.Process]:
        """Return the living processes of a kind.

        Parameters
        ----------
        kind : str
            server, superlink, superexec, serverapp, gateway; or of a hospital: daemon, supernode, runner, clientapp.
        hospital : str
            Whose.
        """
        rehearsal = self.rehearsal
        if kind == "server":
            return [psutil.Process(rehearsal.processes.process_id("server"))]
        if kind == "daemon":
            return [psutil.Process(rehearsal.processes.process_id(hospital))]
        if kind in ("supernode", "runner"):
            pid = rehearsal.hospitals[hospital].status()["processes"][kind]["pid"]
            return [psutil.Process(pid)] if pid else []
        if kind == "clientapp":
            # Processes of tasks, which the runner forks for every message; a training process dies with its task.
            forked = [child for runner in self.processes("runner", hospital) for child in runner.children()]
            return [each for each in forked if _name(each) == "rarefed-task"]
        if kind == "serverapp":
            ours = psutil.Process(rehearsal.processes.process_id("server")).children(recursive=True)
            return [each for each in ours if any("server.flower.serverapp" in word for word in _words(each))]
        status = json.loads(rehearsal.server.command("status", "--json").stdout)
        return [psutil.Process(status["server"]["programs"][kind]["pid"])]

    def kill(self, kind: str, hospital: str = HOSPITALS[0]) -> int:
        """Send SIGKILL to all processes of a kind; returns how many there were."""
        if kind == "server":
            self.rehearsal.processes.kill("server")
            return 1
        if kind == "daemon":
            self.rehearsal.processes.kill(hospital)
            return 1
        found = self.processes(kind, hospital)
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        psutil.wait_procs(found, timeout=10)
        return len(found)

    def mend(self) -> None:
        """Start again what was killed and that nobody else starts: server and daemons, as systemd would."""
        if "server" not in self.rehearsal.processes.running:
            self.rehearsal.server.start()
        for hospital in HOSPITALS:
            if hospital not in self.rehearsal.processes.running:
                self.rehearsal.hospitals[hospital].start()

    def launch(self, plan: dict[str, Any]) -> None:
        """Start a run and leave it alone."""
        self._resumed = 0
        assert self.rehearsal.server.run(plan, "--detach") == 0

    def launch_to(
        self, point: str, plan: dict[str, Any], hospital: str | None = None, round_number: int | None = None
    ) -> psutil.Process:
        """Start a run and return the process that waits at a point, where it stays until `release`."""
        self.arm(point, hospital, round_number)
        self.launch(plan)
        return self.wait_reached(point)

    def folders(self) -> set[Path]:
        """Return the folders of finished runs."""
        return {path for path in self.rehearsal.server.runs.glob("2*") if path.suffix != ".unfinished"}

    def finish(self, before: set[Path], seconds: float = 360) -> tuple[Path, int]:
        """Wait for the end of the run that was launched, and resume it as often as it was lost.

        Returns
        -------
        folder : Path
            Of the finished run.
        resumed : int
            How often since it was launched.
        """
        deadline = time.monotonic() + seconds
        while not (new := self.folders() - before):
            if time.monotonic() > deadline:
                raise AssertionError(f"the run did not end; server: {self.rehearsal.processes.log('server')[-3000:]}")
            self._resume_if_lost()
            time.sleep(0.3)
        return new.pop(), self._resumed

    def _resume_if_lost(self) -> None:
        if self._lost():
            time.sleep(2)  # it may be about to start, or about to rename its folder
            if self._lost() and self.rehearsal.server.command("resume", "--detach", check=False).returncode == 0:
                self._resumed += 1
                wait_for(lambda: self.processes("serverapp"), "a ServerApp to start", 120)

    def _lost(self) -> bool:
        return any(self.rehearsal.server.runs.glob("*.unfinished")) and not self.processes("serverapp")

    def finish_undisturbed(self, plan: dict[str, Any]) -> Path:
        """Run a plan to its end, which it must reach by itself, and return the run's folder."""
        before = self.folders()
        self.launch(plan)
        folder, resumed = self.finish(before)
        assert resumed == 0
        return folder

    def trainings(self, hospital: str) -> int:
        """Return how many trainings stand in a hospital's audit log: as many as its rules count."""
        log = self.rehearsal.hospitals[hospital].folder / "state" / "audit.jsonl"
        return sum(json.loads(line)["event"] == "trained" for line in log.read_text().splitlines())

    def everything_is_up(self) -> None:
        """Wait until server and hospitals are as they were before any fault."""
        for hospital in HOSPITALS:
            self.rehearsal.hospitals[hospital].wait_online()
            wait_for(lambda hospital=hospital: self.processes("runner", hospital), f"{hospital}'s runner", 120)


@contextlib.contextmanager
def stage(base: Path, **options: Any) -> Iterator[Stage]:
    """A consortium that is online and whose processes stop at armed points."""
    folder = base / "faults"
    folder.mkdir(parents=True)
    options = {"hospitals": HOSPITALS, "settings": SETTINGS, **options}
    with environment(RAREFED_FAULTS=str(folder)), online_consortium(base, impatient=True, **options) as rehearsal:
        yield Stage(rehearsal, folder)


def weights_of(folder: Path) -> str:
    """Return the digest of a finished run's weights."""
    summary = json.loads((folder / "summary.json").read_bytes())
    return str(summary["arms"]["federated"]["weights_digest"]["global"])


def rounds_of(folder: Path) -> list[dict[str, Any]]:
    """Return the entries of a run's rounds."""
    return [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []
