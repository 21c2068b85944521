"""Federations in this process: the rounds of the server and the ClientApp of the simulation, joined in memory.

`test_simulate.py` proves once that Flower's processes change nothing: the same plan gives the same weights there.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp.client_app import ClientAppException
from flwr.common.constant import ErrorCode

from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.training.workbench import workbench
from server.rounds.federation import Federation
from server.rounds.messaging import Member
from server.rounds.observer import RequireAllHospitals
from server.rounds.state import FederationResult, FederationState
from simulations.client_app import app as client_app
from simulations.sites.consortium import load_consortium
from simulations.study.layer_folders import LayerFolderTransport
from tests.server.rounds.hospitals_in_process import InProcessTransport


class Node:
    """A node of the simulation in this process; as there, it answers for whichever site a message names.

    Parameters
    ----------
    number : int
        Its id.
    before_training : callable
        Called before every training.
    """

    def __init__(self, number: int, before_training: Callable[[], None]) -> None:
        self.node = number
        self._before_training = before_training

    def answer(self, message: Message) -> Message:
        if message.metadata.message_type == "train":
            self._before_training()
        try:
            return client_app(message, Context(1, self.node, {}, RecordDict(), {}))
        except Exception as error:  # noqa: BLE001 - as Flower's simulation does, and with the words that it reports
            raised = ClientAppException(str(error))
            reason = f"{type(raised)}:<'{raised}'>"
            return Message(Error(ErrorCode.CLIENT_APP_RAISED_EXCEPTION, reason), reply_to=message)


def federate(
    plan: TrainingPlan,
    layers: Path,
    order: Sequence[int] | None = None,
    before_training: Callable[[], None] = lambda: None,
) -> FederationResult:
    """Run the federation of a plan on three nodes.

    Parameters
    ----------
    plan : TrainingPlan
        With the path of its data.
    layers : Path
        Where sites keep their own layers.
    order : sequence of int or None
        Numbers of the sites in the order in which nodes answer for them; None: all in their own order.
    before_training : callable
        Called before every site's training.
    """
    consortium = load_consortium(plan)
    bench = workbench(plan, len(consortium.dataset.classes))
    nodes = [Node(number, before_training) for number in (11, 12, 13)]
    numbers = list(order or range(len(consortium.sites)))
    members = [Member(nodes[index % 3].node, {messages.SITE: number}) for index, number in enumerate(numbers)]
    federation = Federation(
        LayerFolderTransport(InProcessTransport(*nodes), layers),
        plan,
        classes=len(consortium.dataset.classes),
        layout=bench.layout,
        trunk_digest=bench.trainer.model.trunk_digest,
        present=lambda: members,
        observer=RequireAllHospitals(),
        poll_seconds=0,
    )
    return federation.run(FederationState(bench.initial_tail, "a federation"))
