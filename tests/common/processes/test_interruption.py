"""How a command takes the signals that end it."""

import os
import signal
from collections.abc import Iterator

import pytest

from common.processes.interruption import ENDING, heeded, hold_interrupts, interrupt_once


@pytest.fixture
def unignored() -> Iterator[None]:
    """Take the ending signals as a terminal's shell leaves them: under nohup, SIGHUP is ignored."""
    before = {number: signal.getsignal(number) for number in ENDING}
    for number, handler in before.items():
        if handler == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def end_by(number: signal.Signals) -> None:
    with interrupt_once():
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            for again in ENDING:
                os.kill(os.getpid(), again)


@pytest.mark.usefixtures("unignored")
@pytest.mark.parametrize("number", ENDING)
def test_each_signal_interrupts_and_later_ones_let_the_cleaning_go_on(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in ENDING]
    with pytest.raises(KeyboardInterrupt):
        end_by(number)
    assert [signal.getsignal(each) for each in ENDING] == before


def test_what_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in heeded()
        with interrupt_once():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def end_amid(done: list[str]) -> None:
    with interrupt_once():
        with hold_interrupts():
            with hold_interrupts():
                os.kill(os.getpid(), signal.SIGTERM)
                done.append("inner")
            done.append("outer")
        done.append("beyond")


@pytest.mark.usefixtures("unignored")
def test_a_signal_waits_until_what_must_be_whole_is() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        end_amid(done)
    assert done == ["inner", "outer"]
    with hold_interrupts():
        pass  # nothing is left of it
