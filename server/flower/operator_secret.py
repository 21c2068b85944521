"""The secret by which the SuperLink knows the server's own commands."""

from pathlib import Path

HEADER = "x-rarefed-operator"
"""Header of a request to the SuperLink; in lower case, as ASGI has it."""

SECRET_VARIABLE = "RAREFED_OPERATOR_SECRET"
"""Environment variable that names the secret's file to the SuperLink; the secret itself is in no environment."""


def header_value(path: Path) -> str:
    """Return the value of the header; raises `OSError` if this user may not read the secret."""
    return path.read_bytes().hex()
