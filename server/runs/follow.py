"""Shows a run until it ends, also across a restart of the server."""

import time
from pathlib import Path

from rich.console import Console

from common.errors import RunError
from server.flower.control_api import Control
from server.flower.nodes_and_runs import FINISHED, Run
from server.runs.reading import RunView, find_run
from server.runs.run_display import RunDisplay

_LOOK_SECONDS = 1.0
# The supervisor brings a killed SuperLink back within this time, and the run survives that.
_PATIENCE_SECONDS = 180.0


def follow_run(control: Control, runs: Path, run_id: int, console: Console) -> tuple[Run, RunView | None]:
    """Show a run until it ends; return the ended run and the last view of its folder, if there is one.

    Raises
    ------
    RunError
        If the server could not be reached for three minutes.
    """
    with RunDisplay(console, run_id) as display:
        reached = time.monotonic()
        while True:
            try:
                run = control.run(run_id)
            except RunError:
                if time.monotonic() - reached > _PATIENCE_SECONDS:
                    raise
                time.sleep(_LOOK_SECONDS)
                continue
            reached = time.monotonic()
            # Read after the status, so that the files of an ended run are its last ones.
            view = find_run(runs, run_id)
            display.show(run.status, view)
            if run.status in FINISHED:
                return run, view
            time.sleep(_LOOK_SECONDS)
