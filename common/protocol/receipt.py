"""The receipt: keys of a request that its reply repeats."""

from collections.abc import Mapping
from typing import Any

from common.protocol.messages import FEDERATION, PLAN_DIGEST, ROUND, SPLIT, TAIL_DIGEST

RECEIPT = (PLAN_DIGEST, FEDERATION, ROUND, SPLIT, TAIL_DIGEST)
"""Keys of a request's config that its reply repeats."""


def receipt_of(config: Mapping[str, Any]) -> dict[str, int | str]:
    """Return the part of a request's config that its reply repeats.

    It tells the server whether a reply answers this round, tail and plan, and a hospital whether it has answered a
    request before.
    """
    return {key: config[key] for key in RECEIPT if key in config}
