"""The environment variables of a simulation's processes."""

import os
import sys
from pathlib import Path

from common.system.folders import cache_folder, weights_folder
from common.system.offline_environment import OFFLINE_ENVIRONMENT
from simulations.launcher.cleanup import MARK_VARIABLE


def simulation_environment(workplace: Path, home: Path, mark: str) -> dict[str, str]:
    """Return the environment of Flower's processes, which all later ones inherit.

    Parameters
    ----------
    workplace : Path
        The run's temporary folder.
    home : Path
        Flower's private home.
    mark : str
        By which the cleanup process finds them.
    """
    environment = {key: value for key, value in os.environ.items() if key not in ("RAY_ADDRESS", "PYTHONPATH")}
    # No run depends on the web: whatever is missing must have been staged before.
    environment |= {**OFFLINE_ENVIRONMENT, "HF_HUB_OFFLINE": "1"}
    # Threads that spin while they wait starve the other processes of a small machine.
    environment.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    environment["FLWR_HOME"] = str(home)
    environment["RAY_TMPDIR"] = environment["TMPDIR"] = environment["HOME"] = str(workplace)
    # Ray asks the addresses of three clouds where it runs, unless it finds this file in its home.
    (workplace / "ray_bootstrap_config.yaml").write_text("{}\n")
    # Flower gives its workers a runtime environment, so that those that Ray starts beforehand are never used.
    environment["RAY_prestart_worker_first_driver"] = "0"
    # What is worth keeping stays where the user has it.
    environment |= {
        "RAREFED_CACHE": str(cache_folder().absolute()),
        "RAREFED_WEIGHTS": str(weights_folder().absolute()),
        "MPLCONFIGDIR": str(cache_folder().absolute() / "matplotlib"),
    }
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment.get("PATH", "")])
    environment[MARK_VARIABLE] = mark
    return environment
