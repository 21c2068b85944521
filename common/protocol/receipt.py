"""What a reply repeats of the request that it answers."""

from collections.abc import Mapping
from typing import Any

from common.protocol.messages import FEDERATION, PLAN_DIGEST, ROUND, SPLIT, TAIL_DIGEST

RECEIPT = (PLAN_DIGEST, FEDERATION, ROUND, SPLIT, TAIL_DIGEST)
"""Keys of a request's config that its reply repeats."""


def receipt_of(config: Mapping[str, Any]) -> dict[str, int | str]:
    """Return what a reply says of the request that it answers, from the request's own config.

    By this the server tells a reply to this round from one to another, from another tail, or to another plan; and a
    hospital tells a request that it has answered before from a new one.
    """
    return {key: config[key] for key in RECEIPT if key in config}
