"""What the coordinator asks of a hospital, read from a message and checked.

Every word is checked here, once: of the right type, of a bounded size, from a closed list where there is one. So
whatever a server sends can be written into the audit log, and shown on a terminal.
"""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from flwr.app import ConfigRecord, Message

from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.system.files import is_sha256

_LONGEST_PLAN = 100_000
_KIND = re.compile(r"[a-z]{1,12}(\.[a-z]{1,12})?")
# Names of runs come from a plan's file name and a clock: any letters of any language, and no control characters.
_FEDERATION = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029\u202a-\u202e\u2066-\u2069]{1,200}")
_LARGEST_ROUND = 10_000


_WORDS: dict[str, Callable[[Any], bool]] = {
    messages.PLAN: lambda value: isinstance(value, str) and len(value) <= _LONGEST_PLAN,
    messages.PLAN_DIGEST: is_sha256,
    messages.FEDERATION: lambda value: isinstance(value, str) and _FEDERATION.fullmatch(value) is not None,
    messages.ROUND: lambda value: type(value) is int and 0 <= value <= _LARGEST_ROUND,
    messages.SPLIT: lambda value: value in ("validation", "test"),
    messages.TAIL_DIGEST: is_sha256,
}


class Request(NamedTuple):
    """What a message asks.

    Attributes
    ----------
    kind : str
        Flower's type of the message: query, train or evaluate.
    plan : TrainingPlan
        The coordinator's.
    config : ConfigRecord
        All words of the message, such as `messages.ROUND`.
    """

    kind: str
    plan: TrainingPlan
    config: ConfigRecord


def shown_kind(message: Message) -> str:
    """Return a message's type as a log may hold it: Flower's word, or "unknown" for whatever else a server sent."""
    kind = message.metadata.message_type
    return kind if isinstance(kind, str) and _KIND.fullmatch(kind) else "unknown"


def read_request(message: Message) -> Request:
    """Return what a message asks.

    Raises
    ------
    InputError
        If it holds no plan, or one that does not have the digest that came with it; or if another of its words is none
        that a server of rarefed sends.
    """
    config = message.content.get(messages.CONFIG)
    if not isinstance(config, ConfigRecord):
        raise InputError(f"a message came without its {messages.CONFIG} record")
    for key, value in config.items():
        if key in _WORDS and not _WORDS[key](value):
            raise InputError(f"a message says {value!r:.40} for {key!r}")
    plan = TrainingPlan.from_json(str(config.get(messages.PLAN)))
    if plan.digest != config.get(messages.PLAN_DIGEST):
        raise InputError(
            "the plan of a message does not have the digest that came with it: server and site read plans differently"
        )
    return Request(message.metadata.message_type, plan, config)
