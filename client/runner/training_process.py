"""The process that computes: it gets one message from its parent, and gives back the reply.

It is forked from a process that has imported everything, so that no round waits for seconds of imports, and that never
knew the secrets of the runner. It may die (a hostile image, too little memory, a fault in a library) without taking
whoever asked with it, who then answers for it. Nothing that it writes leaves the hospital, except through the egress
guard of whoever asked.
"""

import os
import random
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple, Self

from client.rules.hospital_file import LimitsSection
from client.rules.policy import HospitalFailure, Refusal
from common.processes.confinement import Confinement, confine
from common.processes.fork_server import ForkServer
from common.protocol.refusals import Failure, Rule
from common.system.resources import memory_gigabytes
from common.system.wording import printable

Compute = Callable[[bytes], bytes]
"""From a serialised message to a serialised reply."""

# What a server asks for must not take the machine from the hospital.
_SHARE_OF_MEMORY = 0.75
# Of what the process sends back, in bytes: a kind with a word, and whatever comes beside as much as it was sent.
_LONGEST_WORDS, _ROOM = 100, 2**20
_LONGEST_REASON = 2000
# Of a cache, in bytes: the activations of all views of an image, the index of a hundred thousand images.
_LARGEST_FILE = 2**30
_OUT_OF_MEMORY = ("can't allocate memory", "cannot allocate memory", "out of memory", "not enough memory")


class Job(NamedTuple):
    """What a training process is for; travels to it as a pickle.

    Attributes
    ----------
    compute : callable
        Answers the message.
    limits : LimitsSection
        How much of the machine it may use.
    files : Confinement or None
        What it may use of the files; None: it is not confined.
    """

    compute: Compute
    limits: LimitsSection
    files: Confinement | None = None


def do_job(pipe: Connection) -> None:
    """Take a job and a message from a pipe and send the reply; the work of a `ForkServer`."""
    try:
        job: Job = pipe.recv()
        os.setsid()
        _limit(job.limits)
        compute = _confined(job, pipe)
        kind, word, content = _answer(pipe.recv_bytes(), compute)
        pipe.send_bytes(f"{kind} {word}".encode())
        pipe.send_bytes(content)
    except (EOFError, OSError):
        pass  # whoever asked is gone


class TrainingProcess:
    """A process that answers one message.

    Parameters
    ----------
    forks : ForkServer
        Whose work is `do_job`.
    job : Job
    """

    def __init__(self, forks: ForkServer, job: Job) -> None:
        self._process = forks.fork()
        self._process.pipe.send(job)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def answer(self, message: bytes, seconds: float) -> bytes:
        """Return the reply to a message.

        Raises
        ------
        Refusal
            If a rule of this hospital says no once the images are known.
        HospitalFailure
            If it failed, the process died, its reply is none, or it took longer than `seconds`.
        """
        late = threading.Event()

        def give_up() -> None:
            late.set()
            self._process.kill()

        # Whoever has taken the process over may also begin a reply and never end it.
        timer = threading.Timer(seconds, give_up)
        timer.start()
        try:
            return self._exchange(message)
        except ValueError as error:
            raise HospitalFailure(Failure.CRASH, "the training process sent what is no reply") from error
        except (OSError, EOFError) as error:
            if late.is_set():
                words = f"no reply within {seconds:.0f} s, as long as the server waits"
                raise HospitalFailure(Failure.TIME, words) from error
            raise self._death() from error
        finally:
            timer.cancel()

    def _exchange(self, message: bytes) -> bytes:
        pipe = self._process.pipe
        pipe.send_bytes(message)
        kind, word = pipe.recv_bytes(_LONGEST_WORDS).decode().split(" ", maxsplit=1)
        # An update is as large as the tail that was sent; a query's reply is some numbers.
        content = pipe.recv_bytes(2 * len(message) + _ROOM)
        if kind == "refusal":
            raise Refusal(Rule(word))
        if kind == "failure":
            raise HospitalFailure(Failure(word), printable(content[:_LONGEST_REASON].decode("utf-8", "replace")))
        return content

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._process.stop()

    def _death(self) -> HospitalFailure:
        ending = self._process.exit_code()
        if ending == -signal.SIGKILL:
            # The kernel kills a process when memory runs out; so does a container that reaches its limit.
            return HospitalFailure(Failure.MEMORY, "the training process was killed, most likely for want of memory")
        return HospitalFailure(Failure.CRASH, f"the training process died (exit {ending})")


def _confined(job: Job, pipe: Connection) -> Compute:
    """Confine this process as far as the hospital wants and the machine can, and return what it is to compute."""
    nothing = os.open(os.devnull, os.O_RDWR)
    kept = [pipe.fileno(), nothing]
    missing = confine(job.files, kept) if job.files and job.limits.sandbox != "off" else None
    compute = job.compute
    if missing and job.limits.sandbox == "require":
        compute = partial(_refuse_unconfined, missing)
    elif missing:
        print(f"the process that reads images is not wholly confined: {missing}", file=sys.__stderr__, flush=True)
    # From here on it has neither a terminal, into whose shell it could type and on whose screen write, nor a log.
    for stream in range(3):
        os.dup2(nothing, stream)
    os.close(nothing)
    return compute


def _answer(message: bytes, compute: Compute) -> tuple[str, str, bytes]:
    try:
        return "reply", "", compute(message)
    except Refusal as refusal:
        return "refusal", refusal.rule, b""
    except HospitalFailure as failure:
        return "failure", failure.kind, str(failure).encode("utf-8", "replace")
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        out_of_memory = isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY)
        kind = Failure.MEMORY if out_of_memory else Failure.TRAINING
        *_, (frame, line) = traceback.walk_tb(error.__traceback__)
        place = f"{Path(frame.f_code.co_filename).name}:{line}"
        return "failure", kind, f"{type(error).__name__}: {error} ({place})".encode("utf-8", "replace")


def _refuse_unconfined(missing: str, message: bytes) -> bytes:
    raise HospitalFailure(Failure.STATE, f"limits.sandbox = require, and {missing}")


def _limit(limits: LimitsSection) -> None:
    size = int((limits.memory_gigabytes or _SHARE_OF_MEMORY * memory_gigabytes()) * 2**30)
    # Not the address space: libraries map far more of it than they ever use.
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LARGEST_FILE, _LARGEST_FILE))
    available = sorted(os.sched_getaffinity(0))
    if 0 < limits.cpus < len(available):
        os.sched_setaffinity(0, random.sample(available, limits.cpus))
