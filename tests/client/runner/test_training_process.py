import faulthandler
import os
import signal
import stat
import struct
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import psutil
import pytest

from client.rules.hospital_file import LimitsSection
from client.rules.policy import HospitalFailure, Refusal
from common.processes.confinement import Confinement
from common.protocol.refusals import Failure, Rule
from tests.client.runner import closures
from tests.client.runner.closures import Compute

PATH = "/data/MUELLER_ANNA.dcm"


def answer(compute: Compute, seconds: float = 30, **limits: float) -> bytes:
    return closures.answer(compute, b"asked", LimitsSection.model_validate(limits), seconds=seconds)


def test_a_reply_comes_from_another_process() -> None:
    pid, size = answer(lambda message: b"%d %d" % (os.getpid(), len(message))).split()
    assert int(pid) != os.getpid()
    assert int(size) == len(b"asked")


def test_large_messages_pass() -> None:
    assert len(closures.answer(lambda message: message * 2, bytes(20_000_000), LimitsSection())) == 40_000_000


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
def test_the_parent_learns_the_kind_of_any_failure(compute: Compute, kind: Failure) -> None:
    with pytest.raises(HospitalFailure) as failure:
        answer(compute, seconds=2 if compute is slow else 30, memory_gigabytes=2)
    assert failure.value.kind == kind


def test_it_takes_no_more_cores_than_allowed() -> None:
    assert int(answer(lambda _: b"%d" % len(os.sched_getaffinity(0)), cpus=1)) == 1


def closed_pipe(_: bytes) -> bytes:
    os.closerange(3, 100)
    time.sleep(60)
    return b""


def test_a_process_that_only_seems_to_have_ended_holds_nobody_up() -> None:
    began = time.monotonic()
    with pytest.raises(HospitalFailure):
        answer(closed_pipe)
    assert time.monotonic() - began < 30


def send(*pieces: bytes, header: bytes = b"") -> bytes:
    """Write to the pipe of this process as whoever took it over could."""
    (pipe,) = [number for number in range(3, 100) if is_socket(number)]
    with Connection(pipe) as connection:
        for piece in pieces:
            connection.send_bytes(piece)
        os.write(pipe, header)
        time.sleep(60)
    return b""


def is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False


HOSTILE: dict[str, tuple[Compute, Failure]] = {
    "a reply that is begun and never ended": (lambda _: send(b"reply "), Failure.TIME),
    "a length without so many bytes": (lambda _: send(b"reply ", header=struct.pack("!i", 1000)), Failure.TIME),
    "a length of gigabytes": (lambda _: send(b"reply ", header=struct.pack("!iQ", -1, 2**34)), Failure.MEMORY),
    "words of megabytes": (lambda _: send(bytes(2**24)), Failure.MEMORY),
    "no words": (lambda _: send(b"\xff", b""), Failure.CRASH),
    "a rule that is none": (lambda _: send(b"refusal none", b""), Failure.CRASH),
}


@pytest.mark.parametrize("way", HOSTILE)
def test_whoever_takes_the_process_over_can_only_fail_by_it(way: str) -> None:
    compute, kind = HOSTILE[way]
    began = time.monotonic()
    with pytest.raises(HospitalFailure) as failure:
        # Confined, as it is in a hospital: then the pipe is its only socket.
        closures.answer(compute, b"asked", LimitsSection(), Confinement(Path("/nowhere"), (), ()), seconds=3)
    assert failure.value.kind == kind
    assert time.monotonic() - began < 15


def test_stopping_ends_the_process(tmp_path: Path) -> None:
    mark = tmp_path / "pid"

    def slow(_: bytes) -> bytes:
        mark.write_text(str(os.getpid()))
        time.sleep(60)
        return b""

    forks, process = closures.training_process(slow, LimitsSection())
    with pytest.raises(HospitalFailure):
        process.answer(b"", 1)
    process.stop()
    assert not psutil.pid_exists(int(mark.read_text()))
    forks.close()
