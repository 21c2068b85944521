"""Runs a federation's ServerApp as Flower's `flwr-serverapp` would, but for unpacking what came with the run.

Whoever can start a run sends a bundle with it, and Flower unpacks it and runs the code that it names. Here a bundle is
only compared with that of the installed app, which carries no code, and the installed one is run; any other fails its
run. The task's token comes on the standard input: every account of the machine can read the arguments of a process.

When what is replaced here has moved in Flower, tests/server/flower/test_flower_seam.py fails.
"""

import argparse
import hashlib
import importlib
import os
import sys
from pathlib import Path
from queue import Queue
from typing import Any

from flwr.supercore.logger import mirror_output_to_queue, restore_output

from common.errors import RunError
from server.flower.app_bundle import app_folder, app_hash
from server.flower.run_lock import LOCK_VARIABLE, take_run_lock


def refuse_other_bundles(bundle: bytes, *_: Any, **__: Any) -> None:
    """Raise `RunError` unless a bundle is that of the installed app; unpacks nothing."""
    if hashlib.sha256(bundle).hexdigest() != app_hash(app_folder()):
        raise RunError("this run brought another app than the installed one: start federations by `rarefed-server run`")


def main() -> None:
    """Run one ServerApp; started by `server.flower.superexec`."""
    parser = argparse.ArgumentParser(prog="python -m server.flower.serverapp", description=main.__doc__)
    parser.add_argument("--runtime-api-address", required=True)
    parser.add_argument("--root-certificates", type=Path, required=True)
    parser.add_argument("--parent-pid", type=int)
    arguments = parser.parse_args()
    token = sys.stdin.readline().strip()
    # Whether it has it, `server.app` asks again; but from now on a second run is refused where it is asked for.
    take_run_lock(Path(os.environ[LOCK_VARIABLE]))
    lines: Queue[str | None] = Queue()
    mirror_output_to_queue(lines)
    # Its package has a function of the same name, which `import ... as` would find.
    runtime: Any = importlib.import_module("flwr.superlink.runtime.run_serverapp")
    runtime.install_from_fab = refuse_other_bundles
    runtime.get_project_dir = lambda *_: app_folder()
    runtime.run_serverapp(
        runtime_api_address=arguments.runtime_api_address,
        log_queue=lines,
        token=token,
        insecure=False,
        certificates=arguments.root_certificates.read_bytes(),
        parent_pid=arguments.parent_pid,
        runtime_dependency_install=False,
    )
    restore_output()


if __name__ == "__main__":
    main()
