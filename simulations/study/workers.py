"""Flower's workers: several threads of the study share one Grid, and each waits for its own replies."""

import json
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from flwr.app import ConfigRecord, Message, MessageType
from flwr.serverapp import Grid
from numpy.typing import NDArray

from common.errors import RunError
from common.plan.training_plan import TrainingPlan
from common.protocol.messages import CONFIG, FEDERATION, NAME, ROUND, request_content
from server.rounds.reply_checks import BadReply, refuse_error
from simulations.study.messages import ALONE, ARM, LAYERS, PREDICT, RESULT
from simulations.study.outcomes import Outcome
from simulations.study.trainings import Unit

_PAUSE_SECONDS = 0.1


class StoppedError(RunError):
    """A training was given up because another one failed."""


class Workers:
    """Flower's Grid for several threads: the transport of federations and of all other trainings.

    Parameters
    ----------
    grid : Grid
        Of the ServerApp.
    nodes : list of int
        Connected nodes.
    """

    def __init__(self, grid: Grid, nodes: list[int]) -> None:
        self._grid = grid
        self._nodes = nodes
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

    def train_alone(self, unit: Unit) -> Outcome:
        """Have a worker train a unit that needs no federation, and wait for it."""
        config: dict[str, int | str] = {ARM: unit.arm, NAME: unit.site}
        text = self._ask(f"{MessageType.TRAIN}.{ALONE}", unit.plan, config, None, unit.title)
        return Outcome.model_validate_json(text)

    def predict(
        self, unit: Unit, tail: NDArray[Any], federation: str, after_round: int, layers: Path
    ) -> list[list[float]]:
        """Have a worker predict a unit's test images, and wait for it.

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
        kind = f"{MessageType.EVALUATE}.{PREDICT}"
        config: dict[str, int | str] = {
            FEDERATION: federation,
            ROUND: after_round,
            LAYERS: str(layers),
        }
        probabilities: list[list[float]] = json.loads(self._ask(kind, unit.plan, config, tail, unit.title))
        return probabilities

    def _ask(
        self, kind: str, plan: TrainingPlan, config: dict[str, int | str], tail: NDArray[Any] | None, title: str
    ) -> str:
        content = request_content(plan, config, tail)
        with self._lock:
            node = self.node(self._next)
            self._next += 1
        (message_id,) = self.push_messages([Message(content, message_type=kind, dst_node_id=node)])
        while not (replies := list(self.pull_messages([message_id]))):
            time.sleep(_PAUSE_SECONDS)
        try:
            refuse_error(replies[0])
        except BadReply as error:
            raise RunError(f"{title}: {error}") from error
        config_of_reply = replies[0].content[CONFIG]
        assert isinstance(config_of_reply, ConfigRecord)
        return str(config_of_reply[RESULT])


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
