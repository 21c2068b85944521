"""Starts a process that may read this hospital's images and write caches, and little else."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from client.exposure.split_salt import split_seed
from client.rules.hospital_file import HospitalFile
from client.rules.policy import HospitalFailure
from client.runner.leftovers import remove_leftovers
from client.runner.training_process import Compute, Job, TrainingProcess
from common.processes.confinement import Confinement
from common.processes.fork_server import ForkServer
from common.processes.root import give, other_user
from common.system.folders import cache_folder


@contextlib.contextmanager
def start_confined(
    forks: ForkServer, hospital: HospitalFile, hidden: Path, compute: Compute
) -> Iterator[TrainingProcess]:
    """Start a process that may read this hospital's images and write caches, and little else; end it at the end.

    Parameters
    ----------
    forks : ForkServer
        Whose work is `do_job`.
    hospital : HospitalFile
        Whose images and state it works with.
    hidden : Path
        The state folder of which it sees no more than that: the hospital's own, also where it works with a copy.
    compute : callable
        What it does; can be pickled.
    """
    cache = hidden / hospital.cache.name
    # Before it too: whoever started the last one may have been killed.
    remove_leftovers(cache, hospital.personal_layers)
    try:
        with TrainingProcess(forks, Job(compute, hospital.limits, _files(hospital, hidden))) as process:
            yield process
    finally:
        # What cannot be removed is told before the next one; this reply is not lost for it.
        with contextlib.suppress(HospitalFailure):
            remove_leftovers(cache, hospital.personal_layers)


def _files(hospital: HospitalFile, hidden: Path) -> Confinement:
    """Return what the process may use; makes what it could not make itself, once `enroll` has made the state folder."""
    user = None if hospital.limits.sandbox == "off" else other_user()
    if not hidden.exists():
        return Confinement(hidden, (), (), user)
    if hidden.stat().st_uid:
        user = None
    writable = (cache_folder(), hospital.personal_layers)
    with contextlib.suppress(HospitalFailure, OSError):
        for folder in writable:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if user is not None:
                give(folder, user)
        split_seed(hospital.split_salt)
    named = (hospital.data.path, *((Path(hospital.weights),) if hospital.weights else ()))
    # Images and weights may lie in the state folder too, if the hospital put them there; a folder around it opens
    # nothing of it.
    own = hidden.resolve()
    within = (path for path in named if own in path.resolve().parents)
    return Confinement(hidden, writable, (hospital.split_salt, *within), user)
