"""A dry run: what this hospital would answer to a federation, computed and decided for real, and sent nowhere.

The messages go through the very handler that answers a server's, with the hospital's rules, on a copy of what it
remembers: what the preview asks counts for nothing later.
"""

import io
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Error, Message, MessageType, MetricRecord, RecordDict
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from client.exposure.split_salt import split_seed
from client.exposure.tail_origin import initial_tail
from client.flower.serialization import message_from_bytes, message_to_bytes
from client.rules.audit_log import AuditLog
from client.rules.hospital_file import HospitalFile
from client.rules.policy import HospitalFailure
from client.runner.confined import start_confined
from client.runner.local_app import answer_message
from client.runner.message_handler import MessageHandler
from client.runner.training_process import Compute, TrainingProcess, do_job
from client.training.local_data import local_plan, local_site
from common.dataset.noise_filter import describe_noise_filter
from common.errors import InputError, RunError
from common.models.tail_layout import tail_digest
from common.plan.training_plan import TrainingPlan
from common.processes.fork_server import ForkServer
from common.protocol import messages
from common.protocol.refusals import refusing_rule
from common.system.files import is_locked, try_lock

_FEDERATION = {messages.FEDERATION: "preview"}
_ASKED: tuple[tuple[str, dict[str, int | str]], ...] = (
    (MessageType.QUERY, {**_FEDERATION}),
    (MessageType.TRAIN, {**_FEDERATION, messages.ROUND: 1}),
    (MessageType.EVALUATE, {**_FEDERATION, messages.ROUND: 1, messages.SPLIT: "test"}),
)

_COPY, _LOCK = "preview-", "lock"


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


def preview(hospital: HospitalFile, plan: TrainingPlan, *, as_approved: bool = False) -> list[Preview]:
    """Answer the messages of one round of a plan: a query, a training, a test.

    Parameters
    ----------
    hospital : HospitalFile
        The hospital's own file, with the rules that hold.
    plan : TrainingPlan
        What a coordinator may ask for.
    as_approved : bool
        Answer as if a person here had approved the plan.
    """
    if as_approved:
        hospital = hospital.model_copy(update={"rules": hospital.rules.model_copy(update={"plans": "within-rules"})})
    # Flower lets only a task of a run make messages; these are never sent.
    TaskIdentity.run_id = TaskIdentity.node_id = TaskIdentity.task_id = 1
    bundle = _bundle()
    # First of all: what is forked must not inherit the locks of threads.
    with closing(ForkServer(do_job)) as forks, _copy(hospital, sha256(bundle).hexdigest()) as copied:
        start = partial(start_confined, forks, copied, hospital.state)
        answers = [_answer(copied, plan, bundle, asked, start) for asked in _ASKED]
        # The copy is gone when somebody reads this; what is wrong in it is wrong in the original.
        return [replace(each, details=each.details.replace(str(copied.state), str(hospital.state))) for each in answers]


def _answer(
    hospital: HospitalFile,
    plan: TrainingPlan,
    bundle: bytes,
    asked: tuple[str, dict[str, int | str]],
    start: Callable[[Compute], AbstractContextManager[TrainingProcess]],
) -> Preview:
    kind, config = asked
    said: list[str] = []

    def compute(message: Message, seconds: float) -> RecordDict:
        if kind == MessageType.TRAIN:
            with start(partial(_describe, plan, hospital)) as describing:
                said.append(describing.answer(b"", seconds).decode())
        with start(partial(answer_message, hospital)) as training:
            return message_from_bytes(training.answer(message_to_bytes(message), seconds)).content

    tail = _tail(plan, hospital) if kind != MessageType.QUERY else None
    message = Message(messages.request_content(plan, dict(config), tail), dst_node_id=1, message_type=kind)
    handler = MessageHandler(hospital, compute, lambda plan: initial_tail(local_plan(plan, hospital)), say=said.append)
    answer = handler.handle(message, bundle, 1)
    if isinstance(answer, Error):
        rule = refusing_rule(answer.reason or "")
        why = [f"rules.{rule.value} of {hospital.path}"] if rule else said
        return Preview(kind, answer.reason, "; ".join(why), {}, ())
    last = next(AuditLog(hospital.audit_log).latest())
    return Preview(kind, None, "; ".join(filter(None, said)), _told(answer), tuple(last["withheld"]))


def _tail(plan: TrainingPlan, hospital: HospitalFile) -> NDArray[np.float32]:
    try:
        return initial_tail(local_plan(plan, hospital)).values
    except InputError:
        return np.zeros(1, np.float32)  # after the rules, the handler says what is wrong with the weights


def _describe(plan: TrainingPlan, hospital: HospitalFile, _: bytes) -> bytes:
    """Return in words what the plan leaves to the images."""
    own = local_plan(plan, hospital)
    split = local_site(own, hospital, split_seed(hospital.split_salt)).split
    return "; ".join(describe_noise_filter((*split.train, *split.validation, *split.test), own.data)).encode()


@contextmanager
def _copy(hospital: HospitalFile, app: str) -> Iterator[HospitalFile]:
    """Yield the hospital with a copy of what it remembers, which is removed afterwards, and with an app approved."""
    for left in hospital.state.glob(f"{_COPY}*"):
        if not is_locked(left / _LOCK):  # a preview that was killed
            shutil.rmtree(left, ignore_errors=True)
    with ExitStack() as held:
        try:
            split_seed(hospital.split_salt)
            state = Path(held.enter_context(tempfile.TemporaryDirectory(prefix=_COPY, dir=hospital.state)))
            try_lock(held.enter_context((state / _LOCK).open("w")))
            _copy_memory(hospital, state)
        except HospitalFailure as problem:
            raise RunError(str(problem)) from problem
        except OSError as error:
            raise RunError(f"{error.filename or hospital.state} cannot be used: {error.strerror}") from error
        apps = hospital.rules.apps and (*hospital.rules.apps, app)
        rules = hospital.rules.model_copy(update={"apps": apps})
        yield hospital.model_copy(update={"state": state, "rules": rules})


def _copy_memory(hospital: HospitalFile, state: Path) -> None:
    """Copy what the rules ask about; no message of a preview asks for kept replies, or goes on with a federation."""
    remembered = (hospital.split_salt, hospital.audit_log, *hospital.plans.glob("*"))
    for path in (*remembered, *hospital.federations.glob("*/*.json")):
        if path.is_file():
            copied = state / path.relative_to(hospital.state)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copied)


def _bundle() -> bytes:
    """Return an app without code, in the place of the one that the coordinator would send."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("pyproject.toml", "")
    return content.getvalue()


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
