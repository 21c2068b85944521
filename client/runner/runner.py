"""The hospital's own runner: takes Flower's tasks from the SuperNode and has each one answered in a process of its own.

Flower would start `flwr-clientapp` for every message: unpack the app that came with it and run what it names. This
runner takes that place. It never unpacks or runs an app: `MessageHandler` compares its hash with the approved ones, and
answers with the rarefed that this hospital installed.

Every task gets two processes: one decides and sends, and has another one started, the `TrainingProcess`, which computes
and is forked from a process that was there before this one read its secret.

This file and `client.flower` use the private side of Flower's ClientApp process; when that side has moved,
tests/client/flower/test_flower_seam.py fails.
"""

import argparse
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import flwr.supercore.superexec.run_superexec as superexec
from flwr.app import Error, Message, RecordDict
from flwr.common.constant import SubStatus
from flwr.supercore.auth import load_superexec_auth_secret
from flwr.supercore.constant import TaskType
from flwr.supercore.heartbeat import HeartbeatSender, make_task_heartbeat_fn_http
from flwr.supercore.interceptors import RuntimeTokenHttpInterceptor, RuntimeVersionHttpInterceptor
from flwr.supercore.retry import make_simple_http_retry_invoker
from flwr.supercore.superexec.executor import ExecutionSpec, LaunchResult
from flwr.supernode.runtime.run_clientapp import push_message, push_task_output

from client.exposure.tail_origin import initial_tail
from client.flower.heartbeat import set_heartbeat
from client.flower.own_supernode import OwnRuntimeClient
from client.flower.serialization import message_from_bytes, message_to_bytes
from client.flower.task_input import pull_task_input
from client.rules.hospital_file import HospitalFile, read_hospital_file
from client.rules.policy import message_bound
from client.runner.confined import start_confined
from client.runner.local_app import answer_message
from client.runner.message_handler import MessageHandler
from client.runner.training_process import do_job
from client.training.local_data import local_plan
from common.errors import RarefedError
from common.processes.fork_server import ForkServer
from common.processes.forking import fork


class FlowerTask:
    """One message: pulled from the SuperNode, answered, and reported as done.

    Parameters
    ----------
    forks : ForkServer
        Starts the process that computes.
    hospital : HospitalFile
        This hospital's file, as it is now.
    spec : ExecutionSpec
        Flower's task.
    file_problem : str or None
        Why the hospital's file can no longer be read.
    """

    def __init__(
        self, forks: ForkServer, hospital: HospitalFile, spec: ExecutionSpec, file_problem: str | None = None
    ) -> None:
        self._forks, self._hospital = forks, hospital
        self._handler = MessageHandler(
            hospital, self._compute, lambda plan: initial_tail(local_plan(plan, hospital)), file_problem
        )
        self._client = OwnRuntimeClient.from_server_address(
            server_address=spec.runtime_api_address,
            insecure=True,  # loopback, between two processes of one user, which the client makes sure of
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
        status, context = SubStatus.FAILED, None
        try:
            given = pull_task_input(self._client, message_bound(self._hospital.rules))
            context = given.context
            answer = self._handler.handle(given.message, given.bundle, given.run_id, given.problem)
            status = SubStatus.FAILED if isinstance(answer, Error) else SubStatus.COMPLETED
            push_message(self._client, Message(answer, reply_to=given.message), context)
        finally:
            # First: Flower interrupts this process at the answer to a heartbeat that comes after the end of its task.
            if heartbeat.is_running:
                heartbeat.stop()
            push_task_output(self._client, context, status, "")
            self._client.close()

    def _compute(self, message: Message, seconds: float) -> RecordDict:
        compute = partial(answer_message, self._hospital)
        with start_confined(self._forks, self._hospital, self._hospital.state, compute) as training:
            return message_from_bytes(training.answer(message_to_bytes(message), seconds)).content


class _ForkingExecutor:
    """Forks a process for every task that Flower's SuperExec has to start.

    Parameters
    ----------
    forks : ForkServer
        Starts the processes that compute.
    hospital : HospitalFile
        As it was at the start; read again for every message, so that a changed rule holds from the next one on.
    """

    def __init__(self, forks: ForkServer, hospital: HospitalFile) -> None:
        self._forks, self._hospital = forks, hospital

    def get_eligible_capacity(self, supported_task_types: set[TaskType], **_: Any) -> tuple[set[TaskType], set[str]]:
        return {TaskType.CLIENT_APP} & supported_task_types, set()

    def wait_for_capacity(self, *_: Any, **__: Any) -> None:
        """Return at once: a SuperNode hands out one message at a time."""

    def launch(self, spec: ExecutionSpec) -> LaunchResult:
        fork(lambda: self._run_task(spec), "rarefed-task")
        return LaunchResult.accepted()

    def reconcile(self) -> None:
        """Reap the processes of tasks that have ended."""
        while True:
            try:
                ended, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if ended == self._forks.pid:
                raise SystemExit("the process that starts trainings has ended; the daemon starts this one anew")
            if not ended:
                return

    def close(self) -> None:
        """Do nothing: the processes of tasks die with this one."""

    def _run_task(self, spec: ExecutionSpec) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the daemon, which ends everyone in order
        hospital, file_problem = self._hospital, None
        try:
            hospital = read_hospital_file(hospital.path)
        except RarefedError as error:
            file_problem = str(error)
        FlowerTask(self._forks, hospital, spec, file_problem).run()


def main() -> None:
    """Serve a SuperNode's tasks until this process is ended; started by the daemon."""
    parser = argparse.ArgumentParser(prog="python -m client.runner.runner", description=main.__doc__)
    parser.add_argument("--file", type=Path, required=True, help="hospital.yaml")
    parser.add_argument("--secret", required=True, help="file of the secret that the SuperNode knows too")
    arguments = parser.parse_args()
    hospital = read_hospital_file(arguments.file)
    # Before this process reads its secret, and before it has threads.
    executor = _ForkingExecutor(ForkServer(do_job), hospital)
    superexec.get_executor = lambda *_, **__: executor  # type: ignore[attr-defined]
    superexec.RuntimeHttpClient = OwnRuntimeClient  # type: ignore[attr-defined]
    set_heartbeat()
    print("runner ready", flush=True)
    superexec.run_superexec(
        runtime_api_address=f"127.0.0.1:{hospital.ports.runtime}",
        insecure=True,
        superexec_auth_secret=load_superexec_auth_secret(secret_file=arguments.secret),
    )


if __name__ == "__main__":
    main()
