"""Runs a plan in a private Flower, and removes all processes and temporary files of it."""

import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import RunError
from common.plan.training_plan import TrainingPlan
from common.processes.interruption import interrupt_once
from common.system.resources import lack_of_room
from server.runs.run_naming import is_published, reserve_run, unfinished
from simulations.launcher.cleanup import CleanupProcess
from simulations.launcher.flower import PrivateFlower
from simulations.launcher.log_follower import LogFollower
from simulations.preflight.findings import require_fit
from simulations.preflight.machine import check_machine, short_temporary_folder
from simulations.study.earlier_runs import resume_or_reserve, runs_without_plan, worth_resuming

_POLL_SECONDS = 0.1
_ERROR = "error: "
# With less, what failed may well have failed for want of room.
_LEAST_GIGABYTES = 0.02


def launch_run(plan: TrainingPlan, fresh: bool, show: Callable[[str], None]) -> Path:
    """Run a plan, or resume an interrupted run of it, and wait for its end.

    Parameters
    ----------
    plan : TrainingPlan
        With absolute paths.
    fresh : bool
        Start anew even if an interrupted run of the plan could be resumed.
    show : callable
        Takes each line of the run's log as soon as it is known.

    Returns
    -------
    Path
        The finished run folder.

    Raises
    ------
    InputError
        If something is wrong with the plan or its data; no run folder is made then.
    RunError
        If the run failed; the message ends with the reason.
    KeyboardInterrupt
        After Ctrl-C, SIGTERM, or when the terminal was closed; the unfinished run folder is removed unless a training
        in it was finished. The message says which.
    """
    warnings = require_fit(check_machine(plan))
    workplace = Path(tempfile.mkdtemp(prefix="rarefed-", dir=short_temporary_folder()))
    mark = uuid.uuid4().hex
    with interrupt_once(), CleanupProcess(mark, workplace) as cleanup:
        # The plan is checked, and the check imported, in the seconds that Flower takes to start.
        flower = PrivateFlower(workplace, mark)
        from simulations.preflight.plan_check import check_plan

        checked = check_plan(plan)
        for line in (*checked.description, *warnings):
            show(line)
        output = Path(plan.study.output)
        for folder in [] if fresh else runs_without_plan(output):
            show(f"{folder} is not resumed: its plan.json cannot be read; restore it, or remove the folder")
        run = reserve_run(output, checked.name) if fresh else resume_or_reserve(output, checked.name, plan.digest)
        cleanup.remove_unless_resumable(unfinished(run))
        try:
            follower = LogFollower(run)
            flower.submit(plan, checked.sites, checked.trainings, run)
            _follow(flower, run, follower, _without(checked.description, show))
        except KeyboardInterrupt as interrupt:
            raise KeyboardInterrupt(_what_is_kept(unfinished(run))) from interrupt
        except RunError as error:
            cleanup.keep()
            flower.keep_log(unfinished(run))
            lack = lack_of_room(workplace.parent, _LEAST_GIGABYTES) or lack_of_room(
                output, _LEAST_GIGABYTES, "choose another folder with --output"
            )
            raise RunError(f"{error}{lack}") from error
        except OSError as error:
            # Flower's files are written here too, and a full disk does not say where it is.
            if error.filename is None and (lack := lack_of_room(workplace.parent, _LEAST_GIGABYTES)):
                raise RunError(f"Flower could not be started ({error.strerror}){lack}") from error
            raise
    return run


def _what_is_kept(folder: Path) -> str:
    if worth_resuming(folder):
        return f"interrupted: what was finished is kept in {folder}; the same command goes on from there"
    return "interrupted: nothing was finished yet, and nothing is kept"


def _follow(flower: PrivateFlower, run: Path, follower: LogFollower, show: Callable[[str], None]) -> None:
    """Show a run's log until the run has its final name; raise `RunError` if it ends without it."""
    reason = ""
    going_on = True
    while going_on:
        # Asked before reading: if the run has ended, all its lines are there to be read.
        going_on = flower.running() and not is_published(run)
        for line in follower.new_lines():
            if line.startswith(_ERROR):
                reason = line.removeprefix(_ERROR)
            else:
                show(line)
        time.sleep(_POLL_SECONDS)
    if not run.is_dir():
        raise RunError(f"the run failed: {reason or flower.last_error()}; logs are in {unfinished(run)}")


def _without(shown: Sequence[str], show: Callable[[str], None]) -> Callable[[str], None]:
    """Return `show` without the lines that were shown already; each is left out once."""
    left = list(shown)

    def show_others(line: str) -> None:
        if line in left:
            left.remove(line)
        else:
            show(line)

    return show_others
