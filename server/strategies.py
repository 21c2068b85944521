"""How hospitals' updates become the next global tail: Flower's strategies, behind rarefed's own reply checks."""

from collections.abc import Mapping

import numpy as np
from flwr.app import Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAvg
from numpy.typing import NDArray

from common import exchange
from common.plan import TrainingPlan
from server.replies import Update


class Strategy:
    """A Flower strategy, reduced to its arithmetic.

    Flower's strategies expect whole models, not changes: some of them compare models, others take the difference to
    the last one as a pseudo-gradient. So the checked changes are added to the tail that they started from before Flower
    sees them, in the order of the sites' names.

    Parameters
    ----------
    strategy : flwr.serverapp.strategy.FedAvg
        Or a class derived from it; the weight of a site is its number of training images (McMahan et al. 2017,
        Algorithm 1).
    """

    def __init__(self, strategy: FedAvg) -> None:
        self._strategy = strategy

    def next_tail(
        self, round_number: int, tail: NDArray[np.float32], updates: Mapping[str, Update]
    ) -> NDArray[np.float32]:
        """Return the tail that the next round starts from.

        Parameters
        ----------
        round_number : int
            From 1.
        tail : ndarray of float32, shape (layout.size,)
            What the updates are changes of.
        updates : mapping of str to Update
            By site name; at least one.
        """
        replies = [_as_reply(tail + updates[name].change, updates[name].report.images) for name in sorted(updates)]
        arrays, _ = self._strategy.aggregate_train(round_number, replies)
        return exchange.tail_of(RecordDict({exchange.ARRAYS: arrays})) if arrays is not None else tail


def make_strategy(plan: TrainingPlan) -> Strategy:
    """Return the strategy that `federation.strategy` names."""
    strategies = {"fedavg": lambda: FedAvg(weighted_by_key=exchange.IMAGES)}
    return Strategy(strategies[plan.federation.strategy]())


def _as_reply(tail: NDArray[np.float32], images: int) -> Message:
    content = RecordDict(
        {exchange.ARRAYS: exchange.tail_record(tail), exchange.METRICS: MetricRecord({exchange.IMAGES: images})}
    )
    return Message(content, dst_node_id=0, message_type=MessageType.TRAIN)
