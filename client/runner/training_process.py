"""The process that computes: it gets one message from its parent, and gives back the reply.

It is forked from a process that has imported everything, so that no round waits for seconds of imports. It may die (a
hostile image, too little memory, a fault in a library) without taking its parent with it, which then answers for it.
Nothing that it writes leaves the hospital, except through the parent's egress guard.
"""

import contextlib
import os
import random
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection

from client.rules.hospital_file import LimitsSection
from client.rules.policy import HospitalFailure, Refusal
from common.processes.confinement import Confinement, confine
from common.processes.parent_death import die_with_parent
from common.protocol.refusals import Failure, Rule
from common.system.resources import memory_gigabytes

Compute = Callable[[bytes], bytes]
"""From a serialised message to a serialised reply."""

# What a server asks for must not take the machine from the hospital.
_SHARE_OF_MEMORY = 0.75
_OUT_OF_MEMORY = ("can't allocate memory", "cannot allocate memory", "out of memory", "not enough memory")


class TrainingProcess:
    """A forked process that answers one message.

    Parameters
    ----------
    compute : callable
        Answers the message; runs in the new process.
    limits : LimitsSection
        How much of the machine it may use.
    files : Confinement or None
        What it may use of the files; None: it is not confined.
    """

    def __init__(self, compute: Compute, limits: LimitsSection, files: Confinement | None = None) -> None:
        self._pipe, theirs = Pipe()
        self._pid = os.fork()
        if not self._pid:
            self._pipe.close()
            _work(theirs, compute, limits, files)
        theirs.close()

    def answer(self, message: bytes, seconds: float) -> bytes:
        """Return the reply to a message.

        Raises
        ------
        Refusal
            If a rule of this hospital says no once the images are known.
        HospitalFailure
            If it failed, the process died, or it took longer than `seconds`.
        """
        try:
            self._pipe.send_bytes(message)
            if not self._pipe.poll(seconds):
                raise HospitalFailure(Failure.TIME, f"no reply within {seconds:.0f} s, as long as the server waits")
            kind, word = self._pipe.recv_bytes().decode().split(" ", maxsplit=1)
            content = self._pipe.recv_bytes()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise self._death() from None
        if kind == "refusal":
            raise Refusal(Rule(word))
        if kind == "failure":
            raise HospitalFailure(Failure(word), content.decode())
        return content

    def stop(self) -> None:
        """End the process, whatever it is doing."""
        self._pipe.close()
        if self._pid:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._pid, signal.SIGKILL)
                os.waitpid(self._pid, 0)
            self._pid = 0

    def _death(self) -> HospitalFailure:
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        ending = os.waitstatus_to_exitcode(status)
        if ending == -signal.SIGKILL:
            # The kernel kills a process when memory runs out; so does a container that reaches its limit.
            return HospitalFailure(Failure.MEMORY, "the training process was killed, most likely for want of memory")
        return HospitalFailure(Failure.CRASH, f"the training process died (exit {ending})")


def _work(pipe: Connection, compute: Compute, limits: LimitsSection, files: Confinement | None) -> None:
    try:
        die_with_parent()
        _leave_terminal()
        _limit(limits)
        missing = confine(files, [pipe.fileno()]) if files and limits.sandbox != "off" else None
        if missing and limits.sandbox == "require":
            compute = partial(_refuse_unconfined, missing)
        elif missing:
            print(f"the process that reads images is not wholly confined: {missing}", file=sys.stderr)
        kind, word, content = _answer(pipe.recv_bytes(), compute)
        pipe.send_bytes(f"{kind} {word}".encode())
        pipe.send_bytes(content)
    except (EOFError, OSError):
        pass  # the parent is gone
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # No exit handler of the process that this one was forked from may run here.
        os._exit(0)


def _answer(message: bytes, compute: Compute) -> tuple[str, str, bytes]:
    try:
        return "reply", "", compute(message)
    except Refusal as refusal:
        return "refusal", refusal.rule, b""
    except HospitalFailure as failure:
        return "failure", failure.kind, str(failure).encode("utf-8", "replace")
    except Exception as error:  # noqa: BLE001 - whatever it is, the parent must hear of it
        traceback.print_exc()
        out_of_memory = isinstance(error, MemoryError) or any(words in str(error).lower() for words in _OUT_OF_MEMORY)
        kind = Failure.MEMORY if out_of_memory else Failure.TRAINING
        return "failure", kind, f"{type(error).__name__}: {error}".encode("utf-8", "replace")


def _refuse_unconfined(missing: str, message: bytes) -> bytes:
    raise HospitalFailure(Failure.STATE, f"limits.sandbox = require, and {missing}")


def _leave_terminal() -> None:
    """Part with the terminal of whoever started this: a process that has it may type into its shell."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _limit(limits: LimitsSection) -> None:
    size = int((limits.memory_gigabytes or _SHARE_OF_MEMORY * memory_gigabytes()) * 2**30)
    # Not the address space: libraries map far more of it than they ever use.
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
    available = sorted(os.sched_getaffinity(0))
    if 0 < limits.cpus < len(available):
        os.sched_setaffinity(0, random.sample(available, limits.cpus))
