"""Federations in this process: the rounds of the server and the ClientApp of the simulation, joined in memory.

`test_simulate.py` proves once that Flower's processes change nothing: the same plan gives the same weights there.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from flwr.app import Context, Message

from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.training.workbench import workbench
from server.rounds.courier import Member
from server.rounds.federation import Federation
from server.rounds.observer import RequireAllHospitals
from server.rounds.state import FederationResult, FederationState
from simulations.client_app import app as client_app
from simulations.sites.consortium import load_consortium
from simulations.study.layer_folders import LayerFolderTransport
from simulations.study.memory_transport import MemoryTransport


def federate(
    plan: TrainingPlan,
    layers: Path,
    order: Sequence[int] | None = None,
    before_training: Callable[[], None] = lambda: None,
) -> FederationResult:
    """Run the federation of a plan.

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
    numbers = list(order or range(len(consortium.sites)))
    members = [Member(MemoryTransport.NODE, {messages.SITE: number}) for number in numbers]

    def answer(message: Message, context: Context) -> Message:
        if message.metadata.message_type == "train":
            before_training()
        return client_app(message, context)

    federation = Federation(
        LayerFolderTransport(MemoryTransport(answer), layers),
        plan,
        classes=len(consortium.dataset.classes),
        layout=bench.layout,
        trunk_digest=bench.trainer.model.trunk_digest,
        present=lambda: members,
        observer=RequireAllHospitals(),
        poll_seconds=0,
    )
    return federation.run(FederationState(bench.initial_tail, "a federation"))
