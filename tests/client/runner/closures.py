"""Training processes whose work is a closure of a test: a pickle cannot carry it, but a fork inherits it."""

from collections.abc import Callable

from client.rules.hospital_file import LimitsSection
from client.runner.training_process import Job, TrainingProcess, do_job
from common.processes.confinement import Confinement
from common.processes.fork_server import ForkServer

Compute = Callable[[bytes], bytes]

_inherited: Compute


def _compute(message: bytes) -> bytes:
    return _inherited(message)


def training_process(
    compute: Compute, limits: LimitsSection, files: Confinement | None = None
) -> tuple[ForkServer, TrainingProcess]:
    """Start a training process by a server of its own; whoever asked closes both."""
    global _inherited
    _inherited = compute
    forks = ForkServer(do_job)
    return forks, TrainingProcess(forks, Job(_compute, limits, files))


def answer(
    compute: Compute, message: bytes, limits: LimitsSection, files: Confinement | None = None, seconds: float = 60
) -> bytes:
    """Have a training process answer a message."""
    forks, process = training_process(compute, limits, files)
    try:
        return process.answer(message, seconds)
    finally:
        process.stop()
        forks.close()
