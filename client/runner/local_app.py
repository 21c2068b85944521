"""The ClientApp that answers for this hospital."""

from pathlib import Path

from flwr.app import Context, RecordDict
from flwr.clientapp import ClientApp

from client.app import build_client_app
from client.exposure.split_salt import split_seed
from client.flower.serialization import message_from_bytes, message_to_bytes
from client.rules.hospital_file import HospitalFile
from client.training.local_data import local_plan, local_site


def local_client_app(hospital: HospitalFile, layers: Path) -> ClientApp:
    """Return the ClientApp that answers for this hospital and saves its personal layers in the folder `layers`."""
    return build_client_app(
        lambda plan, context, config: local_site(plan, hospital, split_seed(hospital.split_salt)),
        lambda config: layers,
        lambda plan: local_plan(plan, hospital),
    )


def answer_message(hospital: HospitalFile, message: bytes) -> bytes:
    """Answer one serialised message for this hospital, in this process."""
    asked = message_from_bytes(message)
    context = Context(asked.metadata.run_id, asked.metadata.dst_node_id, {}, RecordDict(), {})
    return message_to_bytes(local_client_app(hospital, hospital.personal_layers)(asked, context))
