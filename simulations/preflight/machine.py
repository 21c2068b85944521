"""Is this machine fit for a run: folders that can be written to, space, memory, CPU cores, a free port?"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from client.preflight.findings import Finding, failed, passed, warn
from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from common.system.folders import cache_folder
from common.system.installation import installation_problem
from common.system.ports import free_port
from common.system.resources import free_gigabytes, memory_gigabytes, nearest_folder, try_to_write, usable_cores
from common.training.cache_limit import LIMIT_VARIABLE, cache_limit
from simulations.preflight.gpu_sharing import told_trainings
from simulations.preflight.image_sides import size_to_lower
from simulations.preflight.memory_estimate import estimate_memory

# Flower's database and Ray's logs and sockets of a short run take some 30 MB.
_LEAST_TEMPORARY, _GOOD_TEMPORARY = 0.1, 1.0
# Weights, predictions and figures of one run.
_LEAST_OUTPUT, _GOOD_OUTPUT = 0.1, 1.0
# Activations of 200 images in 12 views.
_LEAST_CACHE, _GOOD_CACHE = 0.1, 2.0
# Flower, Ray and one worker with torch, without any network.
_LEAST_MEMORY = 1.5
_LONGEST_TEMPORARY = 20


def check_machine(plan: TrainingPlan) -> list[Finding]:
    """Check what a run needs of this machine, in a fraction of a second.

    Parameters
    ----------
    plan : TrainingPlan
        With absolute paths.

    Returns
    -------
    list of Finding
        A failed one means that a run cannot even start.
    """
    return [check(plan) for check in MACHINE_CHECKS]


def check_installation(plan: TrainingPlan) -> Finding:
    """Check that Flower can start from where it is installed."""
    problem = installation_problem()
    if problem:
        found, _, mend = problem.partition("; ")
        return failed("installation", found, mend)
    return passed("installation", "Flower can start from its folder")


def check_cores(plan: TrainingPlan) -> Finding:
    """Compare the CPU cores with the threads of one training."""
    there, threads = usable_cores(), plan.training.threads
    found = f"{there} CPU cores; each training takes {threads}"
    if threads > there:
        return warn("processors", found, f"set training.threads to at most {there}: more only wait for each other")
    return passed("processors", found)


def check_gpu_sharing(plan: TrainingPlan) -> Finding:
    """Check what the environment says of trainings on a GPU; whether there is one, torch alone could say."""
    try:
        told = told_trainings()
    except InputError as error:
        found, _, mend = str(error).partition(": ")
        return failed("GPU sharing", found, mend)
    return passed("GPU sharing", f"each GPU takes {told or 'as many trainings as its memory holds'}, if there is one")


def check_memory(plan: TrainingPlan) -> Finding:
    """Compare the memory with a rough estimate of the need."""
    there, need = memory_gigabytes(), estimate_memory(plan)
    found = f"{there:.1f} GB; a rough estimate of the need is {need.total:.1f} GB, {need.described}"
    if there < _LEAST_MEMORY:
        return failed(
            "memory", found, f"Flower and one training need at least {_LEAST_MEMORY:g} GB: use another machine"
        )
    if there < need.total:
        lower = f"lower study.centralized_batch_size or {size_to_lower(plan)}"
        return warn("memory", found, f"if the run dies, {lower}, or give it fewer cores (taskset -c 0)")
    return passed("memory", found)


def check_temporary_folder(plan: TrainingPlan) -> Finding:
    """Check the folder of Flower's and Ray's temporary files."""
    try:
        folder = Path(short_temporary_folder())
    except OSError as error:  # Python found none that it can write to
        return failed("temporary folder", str(error.strerror), "set TMPDIR to a folder with room that you may write to")
    mend = "free some space there, or set TMPDIR to a folder with room"
    return _judge_folder("temporary folder", folder, _LEAST_TEMPORARY, _GOOD_TEMPORARY, mend)


def check_output_folder(plan: TrainingPlan) -> Finding:
    """Check the folder of the run folders."""
    mend = "choose another with --output"
    return _judge_folder("output folder", Path(plan.study.output or "runs"), _LEAST_OUTPUT, _GOOD_OUTPUT, mend)


def check_cache_folder(plan: TrainingPlan) -> Finding:
    """Check the folder of the phantom, of activations, and of what else can be computed again, and its limit."""
    mend = "set RAREFED_CACHE to a folder that you may write to"
    if plan.data.path and os.environ.get("RAREFED_NO_CACHE"):
        return passed("cache folder", "not used, since RAREFED_NO_CACHE is set")
    if plan.data.path:
        mend += ", or RAREFED_NO_CACHE=1 to do without"
    try:
        cache_limit()
    except InputError as error:
        return failed("cache folder", str(error), f"write it so, or unset {LIMIT_VARIABLE}")
    return _judge_folder("cache folder", cache_folder(), _LEAST_CACHE, _GOOD_CACHE, mend)


def check_loopback(plan: TrainingPlan) -> Finding:
    """Check that a program may listen on this machine's loopback interface, where Flower's parts talk."""
    try:
        free_port()
    except OSError as error:
        found = f"no port of 127.0.0.1 can be listened on ({error.strerror})"
        return failed("port", found, "see that the loopback interface is up, and allow it in the container or sandbox")
    return passed("port", "a port of 127.0.0.1 is free")


def short_temporary_folder() -> str:
    """Return a temporary folder that is short enough for Ray's sockets.

    A socket's path may have 107 characters, and Ray's are some 70 longer than this folder's.
    """
    usual = tempfile.gettempdir()
    return usual if len(usual) <= _LONGEST_TEMPORARY or not os.access("/tmp", os.W_OK) else "/tmp"


def _judge_folder(check: str, folder: Path, least: float, good: float, mend: str) -> Finding:
    """Check that a folder, which need not exist yet, can be written to, and has some GB free."""
    there = nearest_folder(folder)
    if not there.is_dir():
        return failed(check, f"{folder} cannot be made: {there} is a file", mend)
    try:
        # What does not exist yet is not made: a check leaves no trace.
        try_to_write(there)
    except OSError as error:
        return failed(check, f"{there} cannot be written to ({error.strerror})", mend)
    free = free_gigabytes(there)
    found = f"{folder}, {free:.1f} GB free"
    if free < least:
        return failed(check, found, mend)
    return warn(check, found, mend) if free < good else passed(check, found)


MACHINE_CHECKS: tuple[Callable[[TrainingPlan], Finding], ...] = (
    check_installation,
    check_cores,
    check_gpu_sharing,
    check_memory,
    check_temporary_folder,
    check_output_folder,
    check_cache_folder,
    check_loopback,
)
"""In the order in which they are reported."""
