import faulthandler
import os
import signal
import time
from collections.abc import Callable

import numpy as np
import pytest

from client.rules.hospital_file import LimitsSection
from client.rules.policy import HospitalFailure, Refusal
from client.runner.training_process import TrainingProcess
from common.protocol.refusals import Failure, Rule

PATH = "/data/MUELLER_ANNA.dcm"


def answer(compute: Callable[[bytes], bytes], seconds: float = 30, **limits: float) -> bytes:
    process = TrainingProcess(compute, LimitsSection.model_validate(limits))
    try:
        return process.answer(b"asked", seconds)
    finally:
        process.stop()


def test_a_reply_comes_from_another_process() -> None:
    pid, size = answer(lambda message: b"%d %d" % (os.getpid(), len(message))).split()
    assert int(pid) != os.getpid()
    assert int(size) == len(b"asked")


def test_large_messages_pass() -> None:
    process = TrainingProcess(lambda message: message * 2, LimitsSection())
    assert len(process.answer(bytes(20_000_000), 30)) == 40_000_000
    process.stop()


def refuse(_: bytes) -> bytes:
    raise Refusal(Rule.LEAST_IMAGES)


def test_a_refusal_keeps_its_rule() -> None:
    with pytest.raises(Refusal) as refusal:
        answer(refuse)
    assert refusal.value.rule == Rule.LEAST_IMAGES


def bad_data(_: bytes) -> bytes:
    raise HospitalFailure(Failure.DATA, PATH)


def bug(_: bytes) -> bytes:
    raise OSError(f"cannot read {PATH}")


def crash(_: bytes) -> bytes:
    faulthandler.disable()  # pytest's, which would print pages about it
    os.kill(os.getpid(), signal.SIGSEGV)
    return b""


def killed(_: bytes) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def leave(_: bytes) -> bytes:
    os._exit(3)


def hungry(_: bytes) -> bytes:
    return bytes(np.ones(3 * 2**30, np.uint8)[:1])


def slow(_: bytes) -> bytes:
    time.sleep(60)
    return b""


@pytest.mark.parametrize(
    ("compute", "kind"),
    [
        (bad_data, Failure.DATA),
        (bug, Failure.TRAINING),
        (crash, Failure.CRASH),
        (leave, Failure.CRASH),
        (killed, Failure.MEMORY),
        (hungry, Failure.MEMORY),
        (slow, Failure.TIME),
    ],
)
def test_the_parent_learns_the_kind_of_any_failure(compute: Callable[[bytes], bytes], kind: Failure) -> None:
    with pytest.raises(HospitalFailure) as failure:
        answer(compute, seconds=2 if compute is slow else 30, memory_gigabytes=2)
    assert failure.value.kind == kind


def test_it_takes_no_more_cores_than_allowed() -> None:
    assert int(answer(lambda _: b"%d" % len(os.sched_getaffinity(0)), cpus=1)) == 1


def test_stopping_ends_the_process() -> None:
    process = TrainingProcess(slow, LimitsSection())
    with pytest.raises(HospitalFailure):
        process.answer(b"", 0.1)
    pid = process._pid
    process.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
