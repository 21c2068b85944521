"""How large the user's cache of activations may become; without PyTorch, for checks before a run."""

import math
import os

from common.errors import InputError

LIMIT_VARIABLE = "RAREFED_CACHE_GIB"
"""Environment variable: the limit in GiB."""

GIB = 1024**3
_DEFAULT_GIB = 4.0

DEFAULT_LIMIT = int(_DEFAULT_GIB * GIB)
"""In bytes."""


def cache_limit() -> int:
    """Return how many bytes the user's cache may hold: `$RAREFED_CACHE_GIB`, else 4 GiB.

    Raises
    ------
    InputError
        If that is no number above 0.
    """
    told = os.environ.get(LIMIT_VARIABLE) or str(_DEFAULT_GIB)
    try:
        gib = float(told)
    except ValueError:
        gib = math.nan
    if not 0 < gib < math.inf:
        raise InputError(f"{LIMIT_VARIABLE} = {told}: must be a number of GiB above 0, such as 16")
    return int(gib * GIB)


def describe_shortage(needed: int) -> str | None:
    """Say that a training needs more bytes than the user's cache may hold; None where it does not, or has no cache."""
    if os.environ.get("RAREFED_NO_CACHE") or needed <= (limit := cache_limit()):
        return None
    return (
        f"the activations of all views need {needed / GIB:.1f} GiB, and the cache may hold {limit / GIB:g}: the "
        f"others are computed again each time; {LIMIT_VARIABLE}={math.ceil(needed / GIB)} avoids that"
    )
