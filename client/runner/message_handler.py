"""What a hospital answers to a message: asks its rules, has the work done, guards the reply, writes the audit log.

Knows nothing of how messages come and go; `client.runner.runner` brings them and sends the answers.
"""

import contextlib
import hashlib
import sys
import time
import traceback
from collections.abc import Callable
from datetime import datetime

from flwr.app import ConfigRecord, Error, Message, MessageType, RecordDict

from client.exposure.federation_memory import FederationMemory
from client.exposure.plan_approval import AskedPlans
from client.exposure.tail_origin import InitialTail
from client.flower.serialization import size_of
from client.rules.audit_log import AuditHead, AuditLog
from client.rules.egress_guard import Release, release
from client.rules.hospital_file import HospitalFile
from client.rules.policy import (
    HospitalFailure,
    Refusal,
    check_app,
    check_hours,
    check_plan,
    check_rounds_today,
    check_size,
)
from client.rules.request import Request, read_request, shown_kind
from client.runner.kept_replies import KeptReplies
from client.runner.message_audit import ANSWERED_KINDS, MessageAudit
from common.errors import RarefedError
from common.plan.training_plan import TrainingPlan
from common.protocol import messages
from common.protocol.message_size import MessageTooLarge
from common.protocol.refusals import Failure, Rule, failure, refusal
from common.system.wording import printable

REFUSED, FAILED = 4001, 4002
"""Codes of Flower's `Error`; those below 1000 are Flower's own."""

_LONGEST_REASON = 500

ComputeReply = Callable[[Message, float], RecordDict]
"""Computes the reply to a message within a number of seconds; raises `Refusal` or `HospitalFailure`."""


def _to_log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


class MessageHandler:
    """Decides what this hospital answers to a message.

    The audit log knows of an answer before `handle` returns it, and so before anything leaves.

    Parameters
    ----------
    hospital : HospitalFile
        This hospital's file, as it is now.
    compute : callable
        Does the work that the rules allow.
    initial_tail : callable
        Returns where every training of a plan starts, by this hospital's own weights.
    file_problem : str or None
        Why the hospital's file can no longer be read; then nothing is answered but a failure.
    say : callable
        Takes a line for this hospital alone: what went wrong, and in which message.
    """

    def __init__(
        self,
        hospital: HospitalFile,
        compute: ComputeReply,
        initial_tail: Callable[[TrainingPlan], InitialTail],
        file_problem: str | None = None,
        say: Callable[[str], None] = _to_log,
    ) -> None:
        self._hospital = hospital
        self._compute = compute
        self._file_problem = file_problem
        self._say = say
        self._log = AuditLog(hospital.audit_log)
        self._kept = KeptReplies(hospital.kept_replies)
        self._plans = AskedPlans(hospital.plans)
        self._federations = FederationMemory(hospital.federations, hospital.rules, initial_tail)

    def handle(
        self, message: Message, bundle: bytes, run_id: int, problem: Exception | None = None
    ) -> RecordDict | Error:
        """Answer a message.

        Parameters
        ----------
        message : Message
            From the server.
        bundle : bytes
            The zip of the Flower app that asks.
        run_id : int
            Flower's number of the run.
        problem : Exception or None
            Why the message came without its content: `MessageTooLarge`, or what reading it raised.

        Returns
        -------
        RecordDict or Error
            What leaves: the content of a reply, or a code and words of the closed list of `common.protocol.refusals`.
        """
        audit = MessageAudit(self._log, run_id, shown_kind(message))
        try:
            return self._decide(message, bundle, audit, problem)
        except RarefedError as error:
            self._say(f"{audit}: failed: {error}")
            return self._failed(audit, Failure.STATE)
        except Exception:  # noqa: BLE001 - a fault of rarefed's own; its text must not leave either
            self._say(f"{audit}: failed: {traceback.format_exc()}")
            return self._failed(audit, Failure.CRASH)

    def _failed(self, audit: MessageAudit, kind: Failure) -> Error:
        # It may be the log that cannot be written; then this was said above.
        with contextlib.suppress(RarefedError):
            audit.failed(kind)
        return Error(FAILED, failure(kind))

    def _decide(
        self, message: Message, bundle: bytes, audit: MessageAudit, problem: Exception | None
    ) -> RecordDict | Error:
        try:
            self._check_asker(bundle, audit)
            if problem is not None:
                raise self._unread(problem, audit)
            request = self._read(message, audit)
            kept = self._kept.find(request)
            if kept is None:
                self._check_work(message, request, audit)
            audit.requested()
            return self._resend(kept, request, audit) if kept else self._work(message, request, audit)
        except Refusal as no:
            audit.refused(no.rule)
            return Error(REFUSED, refusal(no.rule))
        except HospitalFailure as fault:
            self._say(f"{audit}: failed ({fault.kind}): {fault}")
            audit.failed(fault.kind)
            return Error(FAILED, failure(fault.kind))

    def _check_asker(self, bundle: bytes, audit: MessageAudit) -> None:
        """Refuse an app that the rules do not allow, and whatever comes while the rules cannot be read."""
        audit.note({"app": hashlib.sha256(bundle).hexdigest()})
        check_app(self._hospital.rules, bundle)
        if self._file_problem:
            raise HospitalFailure(Failure.STATE, self._file_problem)

    def _unread(self, problem: Exception, audit: MessageAudit) -> Exception:
        """Return what to answer to a message whose content was not taken."""
        if isinstance(problem, MessageTooLarge):
            self._say(f"{audit}: refused: {problem}")
            return Refusal(Rule.MEGABYTES_PER_ROUND)
        words = printable(f"{type(problem).__name__}: {problem}")[:_LONGEST_REASON]
        return HospitalFailure(Failure.BAD_MESSAGE, f"the message cannot be put together: {words}")

    def _read(self, message: Message, audit: MessageAudit) -> Request:
        """Return what a message asks, if the rules allow its plan."""
        rules, kind = self._hospital.rules, message.metadata.message_type
        if kind not in ANSWERED_KINDS:
            raise HospitalFailure(Failure.BAD_MESSAGE, f"no hospital answers a message of type {kind!r}")
        try:
            request = read_request(message)
        except (RarefedError, KeyError, TypeError, ValueError) as error:
            raise HospitalFailure(Failure.BAD_MESSAGE, str(error)) from error
        audit.note({"plan": request.plan.digest})
        audit.note({key: request.config[key] for key in (messages.ROUND, messages.SPLIT) if key in request.config})
        audit.note({"bytes_received": size_of(message.content)})
        check_plan(rules, request.plan)
        try:
            self._plans.remember(request.plan)
        except OSError as error:
            raise HospitalFailure(Failure.STATE, f"the plan cannot be kept: {error}") from error
        if rules.plans == "approved" and not self._plans.approved(request.plan.digest):
            raise Refusal(Rule.PLANS)
        return request

    def _check_work(self, message: Message, request: Request, audit: MessageAudit) -> None:
        """Refuse a training or a test that was not done before, if it comes at the wrong hour or is one too many."""
        # A query too: to count images is to decode them all.
        check_hours(self._hospital.rules, datetime.now())
        if request.kind == MessageType.QUERY:
            return
        check_rounds_today(self._hospital.rules, audit.work_of_last_day())
        try:
            tail = messages.read_tail(message.content)
        except ValueError as error:
            raise HospitalFailure(Failure.BAD_MESSAGE, str(error)) from error
        self._federations.admit(request, tail)

    def _work(self, message: Message, request: Request, audit: MessageAudit) -> RecordDict:
        """Compute a reply, and return what of it may leave."""
        started = time.monotonic()
        limit = request.plan.federation.round_seconds
        left = message.metadata.created_at + limit - time.time()
        if not left > 0:  # nor is it a number, if the server wrote none
            raise HospitalFailure(Failure.TIME, f"the message is older than {limit:.0f} s, as long as the server waits")
        open_for = self._hospital.rules.seconds_left(datetime.now())
        try:
            reply = self._compute(message, min(left, limit, open_for))
        except HospitalFailure as problem:
            if problem.kind == Failure.TIME and open_for < min(left, limit):
                raise Refusal(Rule.HOURS) from problem
            raise
        released, size = self._release(reply, request)
        if request.kind == MessageType.TRAIN:
            self._federations.learn(request, messages.read_tail(reply))
        head = audit.answered(released.images, size, released.withheld, time.monotonic() - started)
        if request.kind != MessageType.QUERY:
            try:
                self._kept.keep(request, reply)
            except OSError as error:
                # It leaves all the same; only if it is lost on its way, it must be computed again.
                self._say(f"{audit}: the reply could not be kept in {self._hospital.kept_replies}: {error.strerror}")
        _tell_head(released.content, head)
        return released.content

    def _resend(self, kept: RecordDict, request: Request, audit: MessageAudit) -> RecordDict:
        """Return what of a reply that was computed before may leave, by the rules as they are now."""
        released, size = self._release(kept, request)
        _tell_head(released.content, audit.resent(size, released.withheld))
        return released.content

    def _release(self, reply: RecordDict, request: Request) -> tuple[Release, int]:
        released = release(reply, request, self._hospital.rules, self._hospital.name)
        _tell_head(released.content, AuditHead(0, ""))
        size = size_of(released.content)
        check_size(self._hospital.rules, size)
        return released, size


def _tell_head(content: RecordDict, head: AuditHead) -> None:
    """Write the head of the audit log that knows of a reply into the reply: the server is a witness of the log.

    Always in as many characters, so that the log can say how large the reply is.
    """
    words = content.get(messages.CONFIG)
    if isinstance(words, ConfigRecord):
        words[messages.AUDIT_HEAD] = f"{head.records:012}:{head.hash:0>64}"
