"""A private Flower for one run: own home and port, nothing downloaded.

`flwr run` alone leaves a SuperLink running, uses the SuperLink of whoever came first to its port, installs the app's
dependencies again, imports code from the folder in which the SuperLink was started, and exits with 0 even when the run
failed.
"""

import contextlib
import re
import shutil
import subprocess
import time
from pathlib import Path

import tomli_w

from common.errors import RunError
from common.plan.training_plan import TrainingPlan
from common.system.ports import free_port
from common.system.proxies import open_directly
from simulations.launcher.environment import simulation_environment
from simulations.preflight.gpu_sharing import choose_pool
from simulations.study.launch_settings import GROUP, RUN_FOLDER, WORKERS

_START_SECONDS = 60
_CONNECTION = "simulation"


class PrivateFlower:
    """One SuperLink with a home of its own, started at once, and one run on it.

    Parameters
    ----------
    workplace : Path
        The run's temporary folder.
    mark : str
        By which the cleanup process finds Flower's processes.
    """

    def __init__(self, workplace: Path, mark: str) -> None:
        self._home = workplace / "flower"
        self._home.mkdir()
        self._app = workplace / "app"
        self._log = workplace / "flower.log"
        self._port = free_port()
        self._environment = simulation_environment(workplace, self._home, mark)
        self._superlink = self._spawn(
            [
                *("flower-superlink", "--insecure", "--simulation", "--isolation", "subprocess"),
                *("--host", "127.0.0.1", "--port", str(self._port), "--database", str(self._home / "state.db")),
                "--disable-runtime-dependency-installation",
            ]
        )
        self._run: subprocess.Popen[bytes] | None = None

    def submit(self, plan: TrainingPlan, sites: int, trainings: int, run: Path) -> None:
        """Wait until the SuperLink answers, and start the run.

        Parameters
        ----------
        plan : TrainingPlan
            Checked, with absolute paths.
        sites : int
            Number of simulated nodes.
        trainings : int
            How many could go on at the same time, at least 1.
        run : Path
            The run folder, by its final name.

        Raises
        ------
        RunError
            If the SuperLink does not start.
        """
        # By default Ray starts one worker per core, also where fewer can be busy.
        pool = choose_pool(plan, trainings)
        write_app(self._app, plan, run, pool.workers)
        config = {
            "superlink": {"default": _CONNECTION, _CONNECTION: {"address": f"127.0.0.1:{self._port}", "insecure": True}}
        }
        (self._home / "config.toml").write_text(tomli_w.dumps(config))
        # Ray hides the GPUs from trainings that ask for none.
        federation = (
            f"num-supernodes={sites} client-resources-num-cpus=1 client-resources-num-gpus={pool.gpu_share:.4f} "
            f"init-args-num-cpus={pool.workers}"
        )
        self._wait_for_superlink()
        self._run = self._spawn(
            ["flwr", "run", str(self._app), _CONNECTION, "--stream", "--federation-config", federation]
        )

    def running(self) -> bool:
        """Return whether the submitted run has not ended."""
        return self._run is not None and self._run.poll() is None

    def last_error(self) -> str:
        """Return the last line of Flower's log that looks like an exception, else its last line."""
        text = self._log.read_text(errors="replace") if self._log.is_file() else ""
        lines = [line.strip() for line in text.splitlines() if line.strip()] or ["Flower said nothing"]
        return next((line for line in reversed(lines) if re.match(r"[\w.]*(Error|Exception)\b", line)), lines[-1])

    def keep_log(self, folder: Path) -> None:
        """Copy Flower's log into a folder, for diagnosis of a failed run; not onto a full disk, which is no news."""
        with contextlib.suppress(OSError):
            if self._log.is_file():
                folder.mkdir(parents=True, exist_ok=True)
                shutil.copy(self._log, folder / "flower.log")

    def _wait_for_superlink(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._healthy():
            if self._superlink.poll() is not None or time.monotonic() > deadline:
                raise RunError(f"Flower's SuperLink did not start: {self.last_error()}")
            time.sleep(0.1)

    def _healthy(self) -> bool:
        try:
            with open_directly(f"http://127.0.0.1:{self._port}/health", seconds=1) as answer:
                return answer.status == 200
        except OSError:
            return False

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a program that neither the terminal's Ctrl-C nor files in the user's working folder reach."""
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


def write_app(folder: Path, plan: TrainingPlan, run: Path, workers: int) -> None:
    """Write a Flower app without code, whose two components are in the installed rarefed.

    Parameters
    ----------
    folder : Path
        The app's; must be absent.
    plan : TrainingPlan
        Becomes the run config.
    run : Path
        The run folder, by its final name.
    workers : int
        How many trainings go on at the same time, at least 1.
    """
    folder.mkdir()
    config = {**plan.model_dump(), GROUP: {RUN_FOLDER: str(run), WORKERS: workers}}
    components = {"serverapp": "simulations.server_app:app", "clientapp": "simulations.client_app:app"}
    app = {
        "project": {"name": "rarefed-simulation", "version": "1.0.0", "dependencies": []},
        "tool": {"flwr": {"app": {"publisher": "rarefed", "components": components, "config": config}}},
    }
    (folder / "pyproject.toml").write_text(tomli_w.dumps(app))
