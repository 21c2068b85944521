"""How the commands of `rarefed-server` print tables and JSON."""

import json
from typing import Annotated, Any

import typer

AS_JSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]

TABLE_WIDTH = 160
"""Columns of a table where there is no terminal to measure: room for a fingerprint."""


def print_json(value: Any) -> None:
    """Print a value as indented JSON; what JSON does not know is printed as text."""
    print(json.dumps(value, indent=2, default=str))
