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
            raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
