"""A dry run: what this hospital would answer to a federation, computed for real, and sent nowhere."""

import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context, Message, MessageType, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.supercore.task_identity import TaskIdentity

from client.exposure.split_salt import split_seed
from client.rules.egress_guard import release
from client.rules.hospital_file import HospitalFile
from client.rules.policy import HospitalFailure, Refusal, check_hours, check_plan
from client.rules.request import read_request
from client.runner.local_app import local_client_app
from client.training.local_data import local_plan, local_site
from common.dataset.noise_filter import describe_noise_filter
from common.models.tail_layout import tail_digest
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.refusals import failure, refusal
from common.training.workbench import workbench

_FEDERATION = "preview"


@dataclass(frozen=True)
class Preview:
    """What would leave in answer to one message.

    Attributes
    ----------
    kind : str
        Flower's type of the message: query, train or evaluate.
    refused : str or None
        The only words that would leave instead, if a rule refuses or something fails.
    details : str
        For this hospital alone: why; or, of a training, what the plan left to the images.
    told : dict
        Every value that would leave, by key; of the update its size, norm and digest.
    withheld : tuple of str
        Keys that the rules withhold.
    """

    kind: str
    refused: str | None
    details: str
    told: dict[str, Any]
    withheld: tuple[str, ...]


def preview(hospital: HospitalFile, plan: TrainingPlan) -> list[Preview]:
    """Answer the messages of one round of a plan: a query, a training, a test.

    Parameters
    ----------
    hospital : HospitalFile
        The hospital's own file, with the rules that hold.
    plan : TrainingPlan
        What a coordinator may ask for.
    """
    # Flower lets only a task of a run make messages; these are never sent.
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1
    asked: list[tuple[str, dict[str, int | str]]] = [
        (MessageType.QUERY, {messages.FEDERATION: _FEDERATION}),
        (MessageType.TRAIN, {messages.FEDERATION: _FEDERATION, messages.ROUND: 1}),
        (MessageType.EVALUATE, {messages.FEDERATION: _FEDERATION, messages.ROUND: 1, messages.SPLIT: "test"}),
    ]
    with tempfile.TemporaryDirectory() as layers:
        app = local_client_app(hospital, Path(layers))
        return [_answer(app, hospital, plan, kind, config) for kind, config in asked]


def _answer(
    app: ClientApp, hospital: HospitalFile, plan: TrainingPlan, kind: str, config: dict[str, int | str]
) -> Preview:
    try:
        check_plan(hospital.rules, plan)
        check_hours(hospital.rules, datetime.now())
        tail = None
        details = ""
        if kind != MessageType.QUERY:
            own = local_plan(plan, hospital)
            site = local_site(own, hospital, split_seed(hospital.split_salt))
            tail = workbench(own, len(site.classes)).initial_tail
            if kind == MessageType.TRAIN:
                records = (*site.split.train, *site.split.validation, *site.split.test)
                details = "; ".join(describe_noise_filter(records, own.data))
        message = Message(messages.request_content(plan, config, tail), dst_node_id=1, message_type=kind)
        reply = app(message, Context(0, 1, {}, RecordDict(), {}))
        released, withheld = release(reply.content, read_request(message), hospital.rules, hospital.name)
    except Refusal as no:
        return Preview(kind, refusal(no.rule), f"rules.{no.rule.value} of {hospital.path}", {}, ())
    except HospitalFailure as what:
        return Preview(kind, failure(what.kind), str(what), {}, ())
    return Preview(kind, None, details, _told(released), withheld)


def _told(content: RecordDict) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for record in content.values():
        if isinstance(record, ConfigRecord | MetricRecord):
            told |= dict(record.items())
    if messages.ARRAYS in content:
        change = messages.read_tail(content)
        told["update"] = {
            "values": change.size,
            "megabytes": round(change.nbytes / 1e6, 2),
            "norm": float(np.linalg.norm(change)),
            "sha256": tail_digest(change),
        }
    return told
