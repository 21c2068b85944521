"""How hospitals' checked updates become the next global tail, by Flower's strategies."""

from collections.abc import Mapping

import numpy as np
from flwr.app import Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp.strategy import (
    FedAdam,
    FedAvg,
    FedAvgM,
    FedMedian,
    FedProx,
    FedTrimmedAvg,
    FedYogi,
    Krum,
    MultiKrum,
)
from numpy.typing import NDArray

from common.plan.groups import FederationPlan
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from server.rounds.reply_checks import Update

_MOMENTUM, _FIRST, _SECOND = "momentum", "first-moment", "second-moment"


class Strategy:
    """The arithmetic of a Flower strategy.

    Flower's strategies expect whole models, not changes: server optimisers take the difference to the last model as a
    pseudo-gradient. So the changes are added to the tail that they started from, in the order of the sites' names,
    before Flower sees them; except for Krum and Multi-Krum, which get the changes.

    Parameters
    ----------
    strategy : flwr.serverapp.strategy.FedAvg
        The strategy, of this class or a derived one; a site's weight is its number of training images (McMahan et al.
        2017, Algorithm 1), bounded by `federation.largest_weight`.
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
            Number of the round, from 1.
        tail : ndarray of float32, shape (layout.size,)
            The tail that the updates are changes of.
        updates : mapping of str to Update
            The sites' updates, at least one.
        """
        # Krum compares distances between updates. They do not depend on the start, but those of whole tails are lost in
        # the rounding of float32: a tail's squared norm is a million times that of a late change.
        start = np.zeros_like(tail) if isinstance(self._strategy, MultiKrum) else tail
        replies = [_as_reply(start + updates[name].change, updates[name].report.weight) for name in sorted(updates)]
        self._prepare(tail, len(replies))
        arrays, _ = self._strategy.aggregate_train(round_number, replies)
        if arrays is None:
            return tail
        # Server optimisers and medians compute in float64; what travels stays float32.
        reached = np.asarray(arrays[messages.TAIL].numpy(), dtype=np.float32)
        return reached if start is tail else tail + reached

    def memory(self) -> dict[str, NDArray[np.floating]]:
        """Return the moments that a server optimiser keeps from round to round; empty for other strategies."""
        optimizer = self._strategy
        if isinstance(optimizer, FedAvgM):
            return {_MOMENTUM: optimizer.momentum_vector[0]} if optimizer.momentum_vector else {}
        if isinstance(optimizer, FedAdam | FedYogi) and optimizer.m_t and optimizer.v_t:
            return {_FIRST: optimizer.m_t[messages.TAIL], _SECOND: optimizer.v_t[messages.TAIL]}
        return {}

    def remember(self, memory: Mapping[str, NDArray[np.floating]]) -> None:
        """Restore the `memory` of a resumed training."""
        optimizer = self._strategy
        if isinstance(optimizer, FedAvgM) and _MOMENTUM in memory:
            optimizer.momentum_vector = [memory[_MOMENTUM]]
        elif isinstance(optimizer, FedAdam | FedYogi) and _FIRST in memory:
            optimizer.m_t = {messages.TAIL: memory[_FIRST]}
            optimizer.v_t = {messages.TAIL: memory[_SECOND]}

    def _prepare(self, tail: NDArray[np.float32], replies: int) -> None:
        """Give the strategy what Flower's own loop gives it: the round's first tail, or the number of replies."""
        strategy = self._strategy
        if isinstance(strategy, FedAvgM):
            strategy.current_arrays = messages.tail_record(tail)
        elif isinstance(strategy, FedAdam | FedYogi):
            strategy.current_arrays = {messages.TAIL: tail}
        elif isinstance(strategy, MultiKrum) and not isinstance(strategy, Krum):
            # The number of honest sites. Flower's is fixed, and would include hostile sites when others do not reply.
            strategy.num_nodes_to_select = max(1, replies - strategy.num_malicious_nodes)


def make_strategy(plan: TrainingPlan) -> Strategy:
    """Return the strategy that `federation.strategy` names.

    References
    ----------
    fedavg: McMahan et al. 2017. fedprox: Li et al. 2020, whose proximal term is the hospital's part of the work, see
    `client.training.rounds`. fedbn: Li et al. 2021, the average of what `TailLayout.of` lets travel. fedavgm: Hsu et
    al. 2019. fedadam, fedyogi: Reddi et al. 2021. fedmedian, fedtrimmedavg: Yin et al. 2018. krum, multikrum: Blanchard
    et al. 2017.
    """
    return Strategy(_flower_strategy(plan.federation))


def _flower_strategy(federation: FederationPlan) -> FedAvg:
    key = messages.IMAGES
    step = federation.server_learning_rate
    # Fine-tuning changes weights by thousandths; Flower's default steps of a tenth would destroy the pretraining.
    eta, tau = step or 1e-3, federation.server_adaptivity
    first, second = federation.server_momentum, federation.server_second_moment
    match federation.strategy:
        case "fedprox":
            return FedProx(weighted_by_key=key, proximal_mu=federation.proximal_mu)
        case "fedavgm":
            return FedAvgM(
                weighted_by_key=key, server_learning_rate=step or 1.0, server_momentum=federation.server_momentum
            )
        case "fedadam":
            return FedAdam(weighted_by_key=key, eta=eta, beta_1=first, beta_2=second, tau=tau)
        case "fedyogi":
            return FedYogi(weighted_by_key=key, eta=eta, beta_1=first, beta_2=second, tau=tau)
        case "fedmedian":
            return FedMedian(weighted_by_key=key)
        case "fedtrimmedavg":
            return FedTrimmedAvg(weighted_by_key=key, beta=federation.trim)
        case "krum":
            return Krum(weighted_by_key=key, num_malicious_nodes=federation.malicious_sites)
        case "multikrum":
            return MultiKrum(weighted_by_key=key, num_malicious_nodes=federation.malicious_sites)
        case _:
            return FedAvg(weighted_by_key=key)


def _as_reply(tail: NDArray[np.float32], weight: int) -> Message:
    content = RecordDict(
        {messages.ARRAYS: messages.tail_record(tail), messages.METRICS: MetricRecord({messages.IMAGES: weight})}
    )
    return Message(content, dst_node_id=0, message_type=MessageType.TRAIN)
