"""Options that several commands of `rarefed-hospital` take."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from client.rules.hospital_file import HospitalFile

FILE = Annotated[Path, typer.Option("--file", help="The hospital's own file.", envvar="RAREFED_HOSPITAL_FILE")]
AS_JSON = Annotated[bool, typer.Option("--json", help="For machines.")]
DEFAULT_FILE = Path("hospital.yaml")

TABLE_WIDTH = 100
"""Columns of the tables that commands print."""


def read_own_file(file: Path) -> "HospitalFile":
    """Read `hospital.yaml`, and have whatever this command caches of the images lie in the hospital's own folder.

    Before `enroll` has made that folder, nothing is cached.
    """
    from client.rules.hospital_file import read_hospital_file

    hospital = read_hospital_file(file)
    require_own_state(hospital)
    os.environ["RAREFED_CACHE"] = str(hospital.cache)
    if not hospital.state.exists():
        os.environ["RAREFED_NO_CACHE"] = "1"
    return hospital


def require_own_state(hospital: "HospitalFile") -> None:
    """Refuse to work, as root, with the state folder of another user, who could then not use what root leaves in it.

    Raises
    ------
    InputError
        If it is another's.
    """
    from common.errors import InputError
    from common.system.users import sudo_name, user_name

    owner = hospital.state.stat().st_uid if hospital.state.exists() else 0
    if owner and not os.geteuid():
        raise InputError(
            f"{hospital.state} belongs to {user_name(owner)}: run this as that user "
            f"(`sudo -u {sudo_name(owner)} ...`), or give the folder to root (`chown -R root {hospital.state}`)"
        )
