"""Flower's workers: several threads of the study share one Grid, and each waits for its own replies."""

import json
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from flwr.app import ConfigRecord, Error, Message, MessageType
from flwr.serverapp import Grid
from numpy.typing import NDArray

from common.errors import RunError
from common.plan.training_plan import TrainingPlan
from common.protocol.messages import CONFIG, FEDERATION, NAME, ROUND, request_content
from server.rounds.courier import Transport
from simulations.study.held_out_predictions import join_shares, shares_of_views
from simulations.study.messages import ALONE, ARM, LAYERS, PREDICT, RESULT, VIEWS, WARM_UP
from simulations.study.outcomes import Outcome, rounded
from simulations.study.trainings import Unit

_PAUSE_SECONDS = 0.1


class StoppedError(RunError):
    """A training was given up because another one failed."""


class Workers:
    """Flower's Grid for several threads: the transport of federations and of all other trainings.

    Parameters
    ----------
    grid : Transport
        The ServerApp's Grid, or a stand-in.
    nodes : list of int
        Connected nodes.
    count : int
        How many workers compute at the same time.
    """

    def __init__(self, grid: Transport, nodes: list[int], count: int) -> None:
        self._grid = grid
        self._nodes = nodes
        self._count = count
        self._next = 0
        self._lock = threading.Lock()
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Make every thread that waits for a reply raise `StoppedError`, since one of them has failed."""
        self._stopped.set()

    def node(self, number: int) -> int:
        """Return a node for site number `number`; any node can answer for any site."""
        return self._nodes[number % len(self._nodes)]

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Send messages, as `Grid.push_messages`."""
        with self._lock:
            return list(self._grid.push_messages(messages))

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies that are there, as `Grid.pull_messages`."""
        if self._stopped.is_set():
            raise StoppedError("another training of the study failed")
        with self._lock:
            return list(self._grid.pull_messages(message_ids))

    def train(self, unit: Unit) -> Outcome:
        """Have one worker train a unit, a federation in memory, and wait for it."""
        config: dict[str, int | str] = {ARM: unit.arm, NAME: unit.site}
        (text,) = self._ask(f"{MessageType.TRAIN}.{ALONE}", unit.plan, [config], None, unit.title)
        return Outcome.model_validate_json(text)

    def predict(
        self, unit: Unit, tail: NDArray[np.float32], federation: str, after_round: int, layers: Path
    ) -> list[list[float]]:
        """Have the workers predict a unit's test images side by side, and wait for them.

        Parameters
        ----------
        unit : Unit
            Of the arm "federated".
        tail : ndarray of float32, shape (layout.size,)
            The selected global tail.
        federation : str
            `FederationState.federation`.
        after_round : int
            After which round the tail stood.
        layers : Path
            Where the sites keep their own layers.
        """
        shares = shares_of_views(unit.plan, self._count)
        common: dict[str, int | str] = {FEDERATION: federation, ROUND: after_round, LAYERS: str(layers)}
        configs = [{**common, VIEWS: json.dumps(views)} for views in shares]
        texts = self._ask(f"{MessageType.EVALUATE}.{PREDICT}", unit.plan, configs, tail, unit.title)
        batches = [[np.array(batch) for batch in json.loads(text)] for text in texts]
        return rounded(join_shares(dict(zip(map(tuple, shares), batches, strict=True))))

    def _ask(
        self,
        kind: str,
        plan: TrainingPlan,
        configs: Sequence[dict[str, int | str]],
        tail: NDArray[np.float32] | None,
        title: str,
    ) -> list[str]:
        """Send one message per config, wait for the replies, and return their texts in the same order."""
        asked = []
        for config in configs:
            with self._lock:
                node = self.node(self._next)
                self._next += 1
            asked.append(Message(request_content(plan, config, tail), message_type=kind, dst_node_id=node))
        ids = list(self.push_messages(asked)) if asked else []
        replies: dict[str, str] = {}
        while len(replies) < len(ids):
            for reply in self.pull_messages([each for each in ids if each not in replies]):
                replies[reply.metadata.reply_to_message_id] = _text_of(reply, title)
            time.sleep(_PAUSE_SECONDS)
        return [replies[each] for each in ids]


def exception_text(error: Error) -> str:
    """Return the text of the exception by which a simulated hospital failed: Flower sends its whole traceback."""
    lines = (error.reason or "").strip().splitlines() or [f"Flower error {error.code}"]
    return lines[-1].removeprefix("Exception ClientAppException occurred. Message: ").removesuffix("'>")


def _text_of(reply: Message, title: str) -> str:
    if reply.has_error():
        raise RunError(f"{title}: {exception_text(reply.error)}")
    config = reply.content[CONFIG]
    assert isinstance(config, ConfigRecord)
    return str(config[RESULT])


def warm_up(grid: Grid, plan: TrainingPlan, workers: int) -> None:
    """Have each of Flower's workers read the data and build the model; wait for none of them.

    One message per worker, sent before there are any: each worker takes one as soon as it has started. A warm-up that
    fails is no error here, since the first training fails in the same way.
    """
    nodes = wait_for_nodes(grid, 1, plan.federation.wait_seconds)
    kind = f"{MessageType.QUERY}.{WARM_UP}"
    grid.push_messages(
        Message(request_content(plan, {}, None), message_type=kind, dst_node_id=nodes[number % len(nodes)])
        for number in range(workers)
    )


def wait_for_nodes(grid: Grid, count: int, seconds: float) -> list[int]:
    """Return the ids of at least `count` connected nodes, sorted.

    Raises
    ------
    RunError
        If fewer connect in time.
    """
    deadline = time.monotonic() + seconds
    while len(nodes := sorted(grid.get_node_ids())) < count:
        if time.monotonic() > deadline:
            raise RunError(f"{len(nodes)} of {count} nodes connected within {seconds:.0f} s")
        time.sleep(0.2)
    return nodes
