"""Runs the simulation in a Flower of its own: private home, private port, nothing downloaded, nothing left behind.

Flower alone would leave a daemon running, share its port with whoever was first, install the app's dependencies again,
import code from the folder the daemon was started in, and exit with 0 when the run failed.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import IO

import tomli_w

from common.errors import RunError
from common.plan.training_plan import TrainingPlan
from common.system.folders import cache_folder, weights_folder
from common.system.offline_environment import OFFLINE_ENVIRONMENT
from common.system.ports import free_port
from server.runs.run_naming import RUN_FOLDER_VARIABLE, unfinished
from simulations.launcher.cleanup import MARK_VARIABLE, Janitor
from simulations.study.runner import WORKERS_VARIABLE

_START_SECONDS = 60
_CONNECTION = "simulation"
_TRAININGS_PER_GPU = 2


def simulate(plan: TrainingPlan, sites: int, trainings: int, run: Path, show: Callable[[str], None]) -> None:
    """Run a plan with `flwr run` and wait for its end.

    Parameters
    ----------
    plan : TrainingPlan
        Checked, with absolute paths.
    sites : int
        Number of simulated nodes.
    trainings : int
        How many could go on at the same time.
    run : Path
        The run folder to be made.
    show : callable
        Takes each line of the run's log as it is written.

    Raises
    ------
    RunError
        If the run failed; the message ends with the reason.
    KeyboardInterrupt
        After Ctrl-C or SIGTERM; the unfinished run folder is removed unless a training in it was finished.
    """
    workplace = Path(tempfile.mkdtemp(prefix="rarefed-", dir=_short_temporary_folder()))
    mark = uuid.uuid4().hex
    with _terminate_like_interrupt(), Janitor(mark, workplace, unfinished(run)) as janitor:
        try:
            flower = _Flower(workplace, mark, run, trainings)
            flower.start()
            flower.run(plan, sites, show)
        except RunError:
            janitor.keep()
            _keep_flower_log(workplace, run)
            raise


class _Flower:
    """One SuperLink with its home, and one run on it."""

    def __init__(self, workplace: Path, mark: str, run: Path, trainings: int) -> None:
        self._run = run
        self._home = workplace / "flower"
        self._home.mkdir()
        self._app = workplace / "app"
        self._log = workplace / "flower.log"
        self._port = free_port()
        # One core a training, and no more processes than can be busy: Ray would fill all cores of a large machine.
        self._workers = min(os.cpu_count() or 1, trainings, _places_on_gpus() or trainings)
        self._environment = _environment(workplace, self._home, mark, run) | {WORKERS_VARIABLE: str(self._workers)}

    def start(self) -> None:
        """Start the SuperLink and wait until it answers."""
        command = [
            *("flower-superlink", "--insecure", "--simulation", "--isolation", "subprocess"),
            *("--host", "127.0.0.1", "--port", str(self._port), "--database", str(self._home / "state.db")),
            "--disable-runtime-dependency-installation",
        ]
        superlink = self._spawn(command)
        deadline = time.monotonic() + _START_SECONDS
        while not self._healthy():
            if superlink.poll() is not None or time.monotonic() > deadline:
                raise RunError(f"Flower's SuperLink did not start: {_last_error(self._log)}")
            time.sleep(0.1)

    def run(self, plan: TrainingPlan, sites: int, show: Callable[[str], None]) -> None:
        """Submit the plan and follow it to its end."""
        config = {
            "superlink": {"default": _CONNECTION, _CONNECTION: {"address": f"127.0.0.1:{self._port}", "insecure": True}}
        }
        (self._home / "config.toml").write_text(tomli_w.dumps(config))
        write_app(self._app, plan)
        # Ray hides the GPUs from trainings that ask for none.
        gpu_share = 1 / _TRAININGS_PER_GPU if _places_on_gpus() else 0.0
        federation = (
            f"num-supernodes={sites} client-resources-num-cpus=1 client-resources-num-gpus={gpu_share:.3f} "
            f"init-args-num-cpus={self._workers}"
        )
        process = self._spawn(
            ["flwr", "run", str(self._app), _CONNECTION, "--stream", "--federation-config", federation]
        )
        reason = ""
        follower = _Follower(self._run)
        running = True
        while running:
            # Asked before reading, so that the last lines of an ended run are read too.
            running = process.poll() is None
            for line in follower.new_lines():
                if line.startswith("error: "):
                    reason = line.removeprefix("error: ")
                else:
                    show(line)
            time.sleep(0.2)
        if not self._run.is_dir():
            raise RunError(f"the run failed: {reason or _last_error(self._log)}; logs are in {unfinished(self._run)}")

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a program of this environment, away from the terminal's Ctrl-C and from the user's folder."""
        with self._log.open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=self._home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/health", timeout=1) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


class _Follower:
    """Reads a run's log as it grows, also across the renaming of its folder."""

    def __init__(self, run: Path) -> None:
        self._path = unfinished(run) / "run.log"
        self._stream: IO[str] | None = None
        # What an interrupted run said is no news.
        self._start = self._path.stat().st_size if self._path.is_file() else 0

    def new_lines(self) -> Iterator[str]:
        """Return the whole lines that were written since the last call."""
        if self._stream is None:
            if not self._path.is_file():
                return
            self._stream = self._path.open()
            self._stream.seek(self._start)
        while True:
            start = self._stream.tell()
            line = self._stream.readline()
            if not line.endswith("\n"):
                self._stream.seek(start)
                return
            yield line.rstrip("\n")


def write_app(folder: Path, plan: TrainingPlan) -> None:
    """Write a Flower app that carries no code: both sides run the rarefed that is installed, with this plan."""
    folder.mkdir()
    nested = plan.model_dump()
    app = {
        "project": {"name": "rarefed-simulation", "version": "1.0.0", "dependencies": []},
        "tool": {
            "flwr": {
                "app": {
                    "publisher": "rarefed",
                    "components": {
                        "serverapp": "simulations.server_app:app",
                        "clientapp": "simulations.client_app:app",
                    },
                    "config": nested,
                }
            }
        },
    }
    (folder / "pyproject.toml").write_text(tomli_w.dumps(app))


def _environment(workplace: Path, home: Path, mark: str, run: Path) -> dict[str, str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", "PYTHONPATH")}
    # Whatever is missing must be staged before, so that no run depends on the web.
    environment |= {**OFFLINE_ENVIRONMENT, "HF_HUB_OFFLINE": "1"}
    # Threads that spin while they wait starve the other processes of a small machine.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    environment["FLWR_HOME"] = str(home)
    environment["RAY_TMPDIR"] = environment["TMPDIR"] = environment["HOME"] = str(workplace)
    # Ray asks the addresses of three clouds where it runs, unless it finds this file in its home.
    (workplace / "ray_bootstrap_config.yaml").write_text("{}\n")
    # What is worth keeping stays where the user has it.
    environment |= {
        "RAREFED_CACHE": str(cache_folder().absolute()),
        "RAREFED_WEIGHTS": str(weights_folder().absolute()),
        "MPLCONFIGDIR": str(cache_folder().absolute() / "matplotlib"),
    }
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    environment[RUN_FOLDER_VARIABLE] = str(run)
    environment[MARK_VARIABLE] = mark
    return environment


def _short_temporary_folder() -> str:
    """Return where Ray's sockets fit: their paths, some 70 characters below this folder, may have 107 in all."""
    usual = tempfile.gettempdir()
    return usual if len(usual) <= 20 or not os.access("/tmp", os.W_OK) else "/tmp"


def _places_on_gpus() -> int:
    """Return how many trainings the machine's GPUs take at a time: two each; 0 without a GPU."""
    import torch

    return _TRAININGS_PER_GPU * torch.cuda.device_count()


@contextlib.contextmanager
def _terminate_like_interrupt() -> Iterator[None]:
    """Treat SIGTERM and a closed terminal as Ctrl-C, so that they tidy up too."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _keep_flower_log(workplace: Path, run: Path) -> None:
    """Leave Flower's own log beside the failed run's files, for whoever has to find out."""
    log = workplace / "flower.log"
    if log.is_file():
        unfinished(run).mkdir(parents=True, exist_ok=True)
        shutil.copy(log, unfinished(run) / "flower.log")


def _last_error(log: Path) -> str:
    """Return the last line of a log that reads like an exception's, else the last line."""
    text = log.read_text(errors="replace") if log.is_file() else ""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["Flower said nothing"]
    return next((line for line in reversed(lines) if re.match(r"[\w.]*(Error|Exception)\b", line)), lines[-1])
