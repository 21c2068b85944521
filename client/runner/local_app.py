"""The ClientApp that answers for this hospital, and the confined process that it runs in."""

import contextlib
from pathlib import Path

from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp

from client.app import build_client_app
from client.exposure.split_salt import split_seed
from client.flower.serialization import message_from_bytes, message_to_bytes
from client.rules.hospital_file import HospitalFile
from client.rules.policy import HospitalFailure
from client.runner.training_process import Compute, Job, TrainingProcess
from client.training.local_data import local_plan, local_site
from common.processes.confinement import Confinement
from common.processes.fork_server import ForkServer
from common.system.folders import cache_folder


def local_client_app(hospital: HospitalFile, layers: Path) -> ClientApp:
    """Return the ClientApp that answers for this hospital and saves its personal layers in the folder `layers`."""
    return build_client_app(
        lambda plan, context, config: local_site(plan, hospital, split_seed(hospital.split_salt)),
        lambda config: layers,
        lambda plan: local_plan(plan, hospital),
    )


def start_confined(forks: ForkServer, hospital: HospitalFile, hidden: Path, compute: Compute) -> TrainingProcess:
    """Start a process that may read this hospital's images and write caches, and little else.

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
    return TrainingProcess(forks, Job(compute, hospital.limits, _files(hospital, hidden)))


def _files(hospital: HospitalFile, hidden: Path) -> Confinement:
    """Return what the process may use; makes what it could not make itself."""
    cache = cache_folder()
    with contextlib.suppress(HospitalFailure, OSError):
        for folder in (cache, hospital.personal_layers):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        split_seed(hospital.split_salt)
    named = (hospital.data.path, *((Path(hospital.weights),) if hospital.weights else ()))
    # Images and weights may lie in the state folder too, if the hospital put them there; a folder around it opens
    # nothing of it.
    own = hidden.resolve()
    within = (path for path in named if own in path.resolve().parents)
    return Confinement(hidden, (cache, hospital.personal_layers), (hospital.split_salt, *within))


def answer_message(hospital: HospitalFile, message: bytes) -> bytes:
    """Answer one serialised message for this hospital, in this process."""
    asked = message_from_bytes(message)
    context = Context(asked.metadata.run_id, asked.metadata.dst_node_id, {}, RecordDict(), {})
    return message_to_bytes(local_client_app(hospital, hospital.personal_layers)(asked, context))
