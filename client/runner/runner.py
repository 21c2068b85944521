"""The hospital's own runner: takes Flower's tasks from the SuperNode and decides what is done about each.

Flower would start `flwr-clientapp` for every message: unpack the app that came with it and run what it names. This
runner takes that place. It never unpacks or runs an app: it compares its hash with the approved ones, and answers with
the rarefed that this hospital installed. Every message gets a *keeper*, a process that asks the rules, has a
`TrainingProcess` compute, passes the reply through the guard, writes the audit log, and only then sends.

This is the one file that uses the private side of Flower's ClientApp process; when that side has moved,
tests/client/flower/test_flower_seam.py fails.
"""

import argparse
import hashlib
import os
import signal
import sys
import time
import traceback
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import flwr.supercore.superexec.run_superexec as superexec
from flwr.app import Context, Error, Message, MessageType, RecordDict
from flwr.clientapp import ClientApp
from flwr.common.constant import SubStatus
from flwr.common.serde import message_from_proto, message_to_proto, recorddict_to_proto
from flwr.proto.message_pb2 import Message as ProtoMessage
from flwr.supercore.auth import load_superexec_auth_secret
from flwr.supercore.constant import TaskType
from flwr.supercore.heartbeat import HeartbeatSender, make_task_heartbeat_fn_http
from flwr.supercore.interceptors import RuntimeTokenHttpInterceptor, RuntimeVersionHttpInterceptor
from flwr.supercore.retry import make_simple_http_retry_invoker
from flwr.supercore.runtime import RuntimeHttpClient
from flwr.supercore.superexec.executor import ExecutionSpec, LaunchResult
from flwr.supernode.runtime.run_clientapp import pull_task_input, push_message, push_task_output

from client.flower.heartbeat import set_heartbeat
from client.rules.audit_log import AuditLog, Event
from client.rules.egress_guard import release
from client.rules.hospital_file import HospitalFile, read_hospital_file
from client.rules.policy import (
    HospitalFailure,
    Refusal,
    check_app,
    check_hours,
    check_plan,
    check_rounds_today,
    check_size,
)
from client.rules.request import Request, read_request
from client.runner.kept_replies import KeptReplies
from client.runner.local_app import local_client_app
from client.runner.training_process import TrainingProcess, die_with_parent
from common.errors import RarefedError
from common.protocol import messages
from common.protocol.refusals import Failure, failure, refusal

# Codes of Flower's `Error`; below 1000 are Flower's own.
REFUSED, FAILED = 4001, 4002
# What the audit log calls a message that was answered; no other kind is.
_DONE = {
    MessageType.QUERY: Event.INTRODUCED,
    MessageType.TRAIN: Event.TRAINED,
    MessageType.EVALUATE: Event.TESTED,
}
# Those that look at the images with a model of the server's choice.
_COUNTED = frozenset({Event.TRAINED, Event.TESTED})


class Keeper:
    """Answers one message, in a process of its own.

    Parameters
    ----------
    hospital : HospitalFile
        This hospital's file, as it is now.
    spec : ExecutionSpec
        Flower's task.
    trouble : str or None
        Why the file cannot be read as it is now; nothing is answered but that.
    """

    def __init__(self, hospital: HospitalFile, spec: ExecutionSpec, trouble: str | None = None) -> None:
        self._hospital = hospital
        self._trouble = trouble
        self._audit = AuditLog(hospital.audit_log)
        self._kept = KeptReplies(hospital.kept_replies)
        # Before this process has threads: what is forked from it must not inherit a lock that one of them holds.
        self._worker = TrainingProcess(
            partial(_compute, local_client_app(hospital, hospital.personal_layers)), hospital.limits
        )
        self._client = RuntimeHttpClient.from_server_address(
            server_address=spec.runtime_api_address,
            insecure=True,  # loopback, between two processes of one user
            root_certificates=None,
            interceptors=[
                RuntimeVersionHttpInterceptor(component_name="flwr-clientapp"),
                RuntimeTokenHttpInterceptor(spec.token),
            ],
            retry_invoker=make_simple_http_retry_invoker(),
        )

    def run(self) -> None:
        """Take the task, answer it and report it as finished."""
        heartbeat = HeartbeatSender(make_task_heartbeat_fn_http(self._client))
        heartbeat.start()
        status, details, context = SubStatus.FAILED, "", None
        try:
            message, context, run, fab = pull_task_input(self._client)
            reply, status = self._answer(message, fab.content, run.run_id)
            push_message(self._client, reply, context)
        finally:
            self._worker.stop()
            push_task_output(self._client, context, status, details)
            heartbeat.stop()
            self._client.close()

    def _answer(self, message: Message, bundle: bytes, run_id: int) -> tuple[Message, str]:
        """Return the reply and Flower's word for how the task ended; the audit log knows of both before anyone else."""
        # Filled while the request is looked at, so that a refusal tells as much of it as was understood.
        asked: dict[str, Any] = {"run": str(run_id), "kind": message.metadata.message_type}
        try:
            try:
                request = self._look_at(message, bundle, asked)
                kept = self._kept.find(request)
                if kept is None:
                    self._check_work(request)
                self._audit.append(Event.REQUEST, **asked)
                content = self._sent_again(kept, request, asked) if kept else self._computed(message, request, asked)
                return Message(content, reply_to=message), SubStatus.COMPLETED
            except Refusal as no:
                self._audit.append(Event.REFUSED, **asked, rule=no.rule.value)
                return _error(message, REFUSED, refusal(no.rule)), SubStatus.FAILED
            except HospitalFailure as what:
                _say(asked, f"failed ({what.kind}): {what}")
                self._audit.append(Event.FAILED, **asked, failure=what.kind.value)
                return _error(message, FAILED, failure(what.kind)), SubStatus.FAILED
        except RarefedError as error:
            _say(asked, f"failed: {error}")
            return _error(message, FAILED, failure(Failure.STATE)), SubStatus.FAILED
        except Exception:  # noqa: BLE001 - a fault of ours; its text must not leave either
            _say(asked, f"failed: {traceback.format_exc()}")
            return _error(message, FAILED, failure(Failure.CRASH)), SubStatus.FAILED

    def _look_at(self, message: Message, bundle: bytes, asked: dict[str, Any]) -> Request:
        """Return what is asked, if it may be; write into `asked` what the audit log shall say of it."""
        rules, kind = self._hospital.rules, message.metadata.message_type
        asked["app"] = hashlib.sha256(bundle).hexdigest()
        check_app(rules, bundle)
        if self._trouble:
            raise HospitalFailure(Failure.STATE, self._trouble)
        if kind not in _DONE:
            raise HospitalFailure(Failure.BAD_MESSAGE, f"no hospital answers a message of type {kind!r}")
        try:
            request = read_request(message)
        except (RarefedError, KeyError, TypeError, ValueError) as error:
            raise HospitalFailure(Failure.BAD_MESSAGE, str(error)) from error
        asked["plan"] = request.plan.digest
        asked |= {key: request.config[key] for key in (messages.ROUND, messages.SPLIT) if key in request.config}
        asked["bytes_received"] = recorddict_to_proto(message.content).ByteSize()
        check_plan(rules, request.plan)
        return request

    def _check_work(self, request: Request) -> None:
        """Ask the rules about work that has not been done before."""
        if request.kind != MessageType.QUERY:
            rules = self._hospital.rules
            check_hours(rules, datetime.now())
            yesterday = datetime.now(UTC) - timedelta(days=1)
            check_rounds_today(rules, self._audit.count_since(_COUNTED, yesterday))

    def _computed(self, message: Message, request: Request, asked: dict[str, Any]) -> RecordDict:
        """Have the worker answer, pass its reply through the guard, and note what is about to leave."""
        started = time.monotonic()
        limit = request.plan.federation.round_seconds
        left = message.metadata.created_at + limit - time.time()
        if left <= 0:
            raise HospitalFailure(Failure.TIME, f"the message is older than {limit:.0f} s, as long as the server waits")
        answer = self._worker.answer(message_to_proto(message).SerializeToString(), min(left, limit))
        reply = message_from_proto(ProtoMessage.FromString(answer))
        content, size, withheld = self._released(reply.content, request)
        seconds = round(time.monotonic() - started, 1)
        self._audit.append(_DONE[request.kind], **asked, bytes_sent=size, withheld=list(withheld), seconds=seconds)
        if request.kind != MessageType.QUERY:
            try:
                self._kept.keep(request, reply.content)
            except OSError as error:
                # It leaves all the same; only if it is lost on its way, it must be computed again.
                _say(asked, f"the reply could not be kept in {self._hospital.kept_replies}: {error.strerror}")
        return content

    def _sent_again(self, kept: RecordDict, request: Request, asked: dict[str, Any]) -> RecordDict:
        """Pass a reply that was computed before through the guard, by the rules as they are now."""
        content, size, withheld = self._released(kept, request)
        self._audit.append(Event.RESENT, **asked, bytes_sent=size, withheld=list(withheld))
        return content

    def _released(self, content: RecordDict, request: Request) -> tuple[RecordDict, int, tuple[str, ...]]:
        released, withheld = release(content, request, self._hospital.rules, self._hospital.name)
        size = recorddict_to_proto(released).ByteSize()
        check_size(self._hospital.rules, size)
        return released, size, withheld


class _ForkingExecutor:
    """Flower's SuperExec starts tasks through an executor; this one forks keepers.

    Parameters
    ----------
    hospital : HospitalFile
        As it was at the start; read anew for every message, so that a changed rule holds from the next one on.
    """

    def __init__(self, hospital: HospitalFile) -> None:
        self._hospital = hospital

    def get_eligible_capacity(self, supported_task_types: set[TaskType], **_: Any) -> tuple[set[TaskType], set[str]]:
        return {TaskType.CLIENT_APP} & supported_task_types, set()

    def wait_for_capacity(self, *_: Any, **__: Any) -> None:
        """There is nothing to wait for: a SuperNode hands out one message at a time."""

    def launch(self, spec: ExecutionSpec) -> LaunchResult:
        if not os.fork():
            self._keep(spec)
        return LaunchResult.accepted()

    def reconcile(self) -> None:
        """Take leave of keepers that have ended."""
        while True:
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    return
            except ChildProcessError:
                return

    def close(self) -> None:
        """Keepers die with this process."""

    def _keep(self, spec: ExecutionSpec) -> None:
        status = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the daemon, which ends everyone in order
            die_with_parent()
            trouble = None
            try:
                self._hospital = read_hospital_file(self._hospital.path)
            except RarefedError as error:
                trouble = str(error)
            Keeper(self._hospital, spec, trouble).run()
            status = 0
        except Exception as error:  # noqa: BLE001 - the last line of this process
            print(f"a message could not be answered: {error}", file=sys.stderr)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            # No exit handler of the process that this one was forked from may run here.
            os._exit(status)


def _compute(app: ClientApp, message: bytes) -> bytes:
    asked = message_from_proto(ProtoMessage.FromString(message))
    metadata = asked.metadata
    context = Context(metadata.run_id, metadata.dst_node_id, {}, RecordDict(), {})
    return bytes(message_to_proto(app(asked, context)).SerializeToString())


def _say(asked: dict[str, Any], what: str) -> None:
    print(f"{asked['kind']} of run {asked['run']}: {what}", file=sys.stderr, flush=True)


def _error(message: Message, code: int, words: str) -> Message:
    return Message(Error(code, words), reply_to=message)


def main() -> None:
    """Serve a SuperNode's tasks until this process is ended; started by the daemon."""
    parser = argparse.ArgumentParser(prog="python -m client.runner.runner", description=main.__doc__)
    parser.add_argument("--file", type=Path, required=True, help="hospital.yaml")
    parser.add_argument("--secret", required=True, help="file of the secret that the SuperNode knows too")
    arguments = parser.parse_args()
    hospital = read_hospital_file(arguments.file)
    executor = _ForkingExecutor(hospital)
    superexec.get_executor = lambda *_, **__: executor  # type: ignore[attr-defined]
    set_heartbeat()
    print("runner ready", flush=True)
    superexec.run_superexec(
        runtime_api_address=f"127.0.0.1:{hospital.ports.runtime}",
        insecure=True,
        superexec_auth_secret=load_superexec_auth_secret(secret_file=arguments.secret),
    )


if __name__ == "__main__":
    main()
