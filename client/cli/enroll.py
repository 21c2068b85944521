"""The command `rarefed-hospital enroll`."""

from pathlib import Path
from typing import Annotated

import typer

from client.cli.options import DEFAULT_FILE, FILE


def register(app: typer.Typer) -> None:
    """Add the command to `rarefed-hospital`."""
    app.command()(enroll)


def enroll(
    file: FILE = DEFAULT_FILE,
    new_key: Annotated[bool, typer.Option("--new-key", help="Put the old key aside and make another.")] = False,
    request: Annotated[
        Path | None, typer.Option("--request", help="File to be written. [default: NAME.request.json beside --file]")
    ] = None,
) -> None:
    """Make this hospital's key, if there is none, and the request that the coordinator approves."""
    from client.enrolment import enroll as make_enrolment
    from client.rules.hospital_file import read_hospital_file

    hospital = read_hospital_file(file)
    done = make_enrolment(hospital, request, new_key)
    if done.former_key:
        print(f"the former key lies in {done.former_key}; restart the daemon once the new one is approved")
    print(f"hospital     {hospital.name}")
    print(f"key          {done.key_fingerprint}")
    print(f"federation   {done.authority_fingerprint}")
    print(f"request      {done.request}")
    print("Send the request to the coordinator; then call, and read both fingerprints to each other.")
