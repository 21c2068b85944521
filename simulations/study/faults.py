"""Simulated hospitals that fail on purpose: a transport that loses their replies, or makes them hostile."""

import random
from collections import Counter
from collections.abc import Iterable

import numpy as np
from flwr.app import Error, Message, MessageType

from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from server.rounds.courier import Transport
from simulations.study.messages import number_message

DROPPED_OUT = 4101
"""The error code of a lost reply; none of Flower's, nor of a hospital's own refusals."""

FACTORS = {"scaled": 100.0, "flipped": -1.0}
"""What `study.hostile` multiplies an update by."""


def with_faults(transport: Transport, plan: TrainingPlan, sites: int) -> Transport:
    """Return the transport with the faults of a plan; the transport itself where the plan has none."""
    faulty = plan.study.dropout or plan.study.hostile_sites
    return FaultyTransport(transport, plan, sites) if faulty else transport


class FaultyTransport:
    """Loses replies to training rounds, and has hostile sites change theirs; everything else it leaves alone.

    Hostile replies are changed before the server checks them, as those of a real hospital would be. For a reply that is
    lost nobody trains: its error arrives at once.

    Parameters
    ----------
    transport : Transport
        Reaches the sites.
    plan : TrainingPlan
        `study.dropout`, `study.hostile_sites` and `study.hostile` are read.
    sites : int
        How many there are.
    """

    def __init__(self, transport: Transport, plan: TrainingPlan, sites: int) -> None:
        self._transport = transport
        self._dropout = plan.study.dropout
        # The folds and repeats of a study lose other replies, or all would repeat one and the same draw.
        self._seeds = (plan.study.seed, plan.training.seed, plan.data.fold)
        self._hostile = range(sites - plan.study.hostile_sites, sites)
        self._factor = np.float32(FACTORS[plan.study.hostile])
        self._attempts: Counter[tuple[int, int]] = Counter()
        self._lost: dict[str, Message] = {}
        self._changed: set[str] = set()

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        """Send messages, except those whose reply will be lost, as `Grid.push_messages`."""
        asked = list(messages)
        lost = [self._loses(message) for message in asked]
        sent = [message for message, gone in zip(asked, lost, strict=True) if not gone]
        ids = iter(self._transport.push_messages(sent) if sent else [])
        return [
            self._lose(message) if gone else self._remember(message, next(ids))
            for message, gone in zip(asked, lost, strict=True)
        ]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        """Return the replies that are there, as `Grid.pull_messages`; those that were lost as errors."""
        asked = list(message_ids)
        lost = [self._lost.pop(each) for each in asked if each in self._lost]
        gone = {reply.metadata.reply_to_message_id for reply in lost}
        waiting = [each for each in asked if each not in gone]
        return [*lost, *(self._change(reply) for reply in (self._transport.pull_messages(waiting) if waiting else []))]

    def _loses(self, message: Message) -> bool:
        """Say whether the reply to a message will be lost; it depends on seeds, round, site and attempt alone.

        So a resumed federation loses the same replies, and a round that is repeated for want of replies loses others.
        """
        if not self._dropout or message.metadata.message_type != MessageType.TRAIN:
            return False
        place = messages.read_int(message.content, messages.ROUND), messages.read_int(message.content, messages.SITE)
        self._attempts[place] += 1
        draw = random.Random(repr((*self._seeds, *place, self._attempts[place]))).random()
        return draw < self._dropout

    def _lose(self, message: Message) -> str:
        identity = f"lost-{sum(self._attempts.values())}-{messages.read_int(message.content, messages.SITE)}"
        number_message(message, identity)
        self._lost[identity] = Message(Error(DROPPED_OUT, "dropped out of this round"), reply_to=message)
        return identity

    def _remember(self, message: Message, identity: str) -> str:
        if (
            message.metadata.message_type == MessageType.TRAIN
            and messages.read_int(message.content, messages.SITE) in self._hostile
        ):
            self._changed.add(identity)
        return identity

    def _change(self, reply: Message) -> Message:
        identity = reply.metadata.reply_to_message_id
        if identity in self._changed and reply.has_content():
            self._changed.remove(identity)
            change = messages.read_tail(reply.content) * self._factor
            reply.content[messages.ARRAYS] = messages.tail_record(change)
        return reply
