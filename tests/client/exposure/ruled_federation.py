"""A federation over hospitals that answer as their daemons do, rules and all, in one process."""

from collections.abc import Mapping

from flwr.app import Context, Message

from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.training.workbench import workbench
from server.rounds.courier import Member
from server.rounds.federation import Federation
from server.rounds.observer import FederationObserver
from server.rounds.state import FederationResult, FederationState
from simulations.study.memory_transport import MemoryTransport
from tests.attacks.test_server import Victim


def federate(
    plan: TrainingPlan, hospitals: Mapping[str, Victim], observer: FederationObserver, name: str
) -> FederationResult:
    """Run a plan of two classes over hospitals, by name; `name` is the federation's."""
    listed = list(hospitals.values())

    def answer(message: Message, context: Context) -> Message:
        number = messages.read_int(message.content, messages.SITE)
        return Message(listed[number].answer(message), reply_to=message)

    bench = workbench(plan, 2)
    members = [Member(MemoryTransport.NODE, {messages.SITE: number}, each) for number, each in enumerate(hospitals)]
    return Federation(
        MemoryTransport(answer),
        plan,
        classes=2,
        layout=TailLayout.of(bench.trainer.model.tail, plan),
        trunk_digest=bench.trainer.model.trunk_digest,
        present=lambda: members,
        observer=observer,
        poll_seconds=0,
    ).run(FederationState(bench.initial_tail, name))
