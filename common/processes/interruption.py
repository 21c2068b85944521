"""Ends a command in the same way at Ctrl-C, at SIGTERM and when its terminal is closed."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals by which a person, a service manager or a closed terminal ends a command."""


def heeded() -> list[signal.Signals]:
    """Return those of the ending signals that this process was not told to ignore, as nohup has it ignore SIGHUP."""
    return [number for number in ENDING if signal.getsignal(number) != signal.SIG_IGN]


@contextlib.contextmanager
def interrupt_once() -> Iterator[None]:
    """Raise `KeyboardInterrupt` at the first ending signal; later ones do not interrupt what is then cleaned up.

    Signals that were ignored stay ignored. To be used in the main thread.
    """
    received: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if len(received) == 1:
            if _Holding.depth:
                _Holding.held_back = True
            else:
                raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Holding:
    depth = 0
    held_back = False


@contextlib.contextmanager
def hold_interrupts() -> Iterator[None]:
    """Have `interrupt_once` wait until something is whole: a process that was started must be known to who ends it.

    To be used in the main thread, and for moments only.
    """
    _Holding.depth += 1
    try:
        yield
    finally:
        _Holding.depth -= 1
        if _Holding.held_back and not _Holding.depth:
            _Holding.held_back = False
            raise KeyboardInterrupt
