"""Flower's SuperExec, which starts `server.flower.serverapp` for every run instead of `flwr-serverapp`."""

import subprocess
import sys
from typing import Any

import flwr.supercore.superexec.run_superexec as superexec
from flwr.supercore.cli.flower_superexec import flower_superexec
from flwr.supercore.constant import TaskType
from flwr.supercore.superexec.executor import ExecutionSpec, LaunchResult


class AppExecutor:
    """Starts a process for every run that Flower's SuperExec has to start."""

    def get_eligible_capacity(self, supported_task_types: set[TaskType], **_: Any) -> tuple[set[TaskType], set[str]]:
        """Return that ServerApps can be started at any time."""
        return {TaskType.SERVER_APP} & supported_task_types, set()

    def wait_for_capacity(self, *_: Any, **__: Any) -> None:
        """Return at once: Flower hands out one run at a time."""

    def launch(self, spec: ExecutionSpec) -> LaunchResult:
        """Start a run's process, and hand it its token."""
        command = [
            # -P: nothing is imported from the working directory.
            *(sys.executable, "-P", "-m", "server.flower.serverapp"),
            *("--runtime-api-address", spec.runtime_api_address),
            *("--root-certificates", str(spec.root_certificates_path)),
            *(("--parent-pid", str(spec.parent_pid)) if spec.parent_pid is not None else ()),
        ]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, text=True)
        assert process.stdin is not None
        with process.stdin as stream:
            stream.write(spec.token + "\n")
        return LaunchResult.accepted()

    def reconcile(self) -> None:
        """Do nothing: Python reaps ended processes when the next one is started."""

    def close(self) -> None:
        """Do nothing: the processes of runs watch for the end of this one."""


def main() -> None:
    """Run `flower-superexec` with this executor."""
    superexec.get_executor = lambda *_, **__: AppExecutor()  # type: ignore[attr-defined]
    flower_superexec()


if __name__ == "__main__":
    main()
