"""Options that several commands of `rarefed-hospital` take."""

from pathlib import Path
from typing import Annotated

import typer

FILE = Annotated[Path, typer.Option("--file", help="The hospital's own file.", envvar="RAREFED_HOSPITAL_FILE")]
AS_JSON = Annotated[bool, typer.Option("--json", help="For machines.")]
DEFAULT_FILE = Path("hospital.yaml")

TABLE_WIDTH = 100
"""Columns of the tables that commands print."""
