"""What the coordinator asks of a hospital, read from a message and checked."""

from typing import NamedTuple

from flwr.app import ConfigRecord, Message

from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from common.protocol import messages


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


def read_request(message: Message) -> Request:
    """Return what a message asks.

    Raises
    ------
    InputError
        If it holds no plan, or one that does not have the digest that came with it.
    """
    config = message.content.get(messages.CONFIG)
    if not isinstance(config, ConfigRecord):
        raise InputError(f"a message came without its {messages.CONFIG} record")
    plan = TrainingPlan.from_json(str(config.get(messages.PLAN)))
    if plan.digest != config.get(messages.PLAN_DIGEST):
        raise InputError(
            "the plan of a message does not have the digest that came with it: server and site read plans differently"
        )
    return Request(message.metadata.message_type, plan, config)
