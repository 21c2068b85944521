"""Reads JSON that somebody else wrote."""

import json
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """Return what JSON says.

    Raises
    ------
    ValueError
        If it is none, or nested so deep that Python gives up.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
