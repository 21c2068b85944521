"""The ClientApp that answers for this hospital."""

from pathlib import Path

from flwr.clientapp import ClientApp

from client.app import build_client_app
from client.exposure.split_salt import split_seed
from client.rules.hospital_file import HospitalFile
from client.training.local_data import local_plan, local_site


def local_client_app(hospital: HospitalFile, layers: Path) -> ClientApp:
    """Return the ClientApp that answers for this hospital and saves its personal layers in the folder `layers`."""
    return build_client_app(
        lambda plan, context, config: local_site(plan, hospital, split_seed(hospital.split_salt)),
        lambda config: layers,
        lambda plan: local_plan(plan, hospital),
    )
