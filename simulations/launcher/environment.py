"""The environment variables of a simulation's processes."""

import os
import sys
from pathlib import Path

from common.system.folders import cache_folder, weights_folder
from common.system.offline_environment import OFFLINE_ENVIRONMENT
from common.system.proxies import with_proxy
from simulations.launcher.cleanup import MARK_VARIABLE


def simulation_environment(workplace: Path, home: Path, mark: str) -> dict[str, str]:
    """Return the environment of Flower's processes, which all processes of the run inherit.

    Parameters
    ----------
    workplace : Path
        The run's temporary folder.
    home : Path
        Flower's private home.
    mark : str
        By which the cleanup process finds the run's processes.

    Returns
    -------
    dict of str to str
        This process's environment with a simulation's changes.
    """
    # A proxy could not reach this machine's own addresses, and a run calls no others.
    environment = with_proxy(os.environ, None)
    environment = {key: value for key, value in environment.items() if key not in ("RAY_ADDRESS", "PYTHONPATH")}
    # A run downloads nothing: weights must have been fetched before.
    environment |= {**OFFLINE_ENVIRONMENT, "HF_HUB_OFFLINE": "1"}
    # By default OpenMP's threads spin while they wait, and take the cores from other processes.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Whatever the terminal shows: its encoding must not decide whether a run can write its log.
    environment |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}
    environment["FLWR_HOME"] = str(home)
    environment["RAY_TMPDIR"] = environment["TMPDIR"] = environment["HOME"] = str(workplace)
    # Without this file in its home, Ray asks metadata servers of three clouds whether it runs there.
    (workplace / "ray_bootstrap_config.yaml").write_text("{}\n")
    # Flower gives its workers a runtime environment, so that workers that Ray starts in advance are never used.
    environment["RAY_prestart_worker_first_driver"] = "0"
    # HOME is removed with the run; caches and weights stay in the user's folders.
    environment |= {
        "RAREFED_CACHE": str(cache_folder().absolute()),
        "RAREFED_WEIGHTS": str(weights_folder().absolute()),
        "MPLCONFIGDIR": str(cache_folder().absolute() / "matplotlib"),
    }
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    environment[MARK_VARIABLE] = mark
    return environment
