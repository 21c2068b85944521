"""What a person sees while a study runs: one line per step, with the share done and the time left."""

import time
from collections.abc import Callable


class StudyProgress:
    """Counts the samples that trainings have seen, and says how far they are.

    Lines look like `[ 42 %  1:35 left] federated round 7/24 ...`.

    Parameters
    ----------
    total : int
        Samples that all trainings together will see.
    emit : callable
        Takes each finished line.
    """

    def __init__(self, total: int, emit: Callable[[str], None]) -> None:
        self._total = max(total, 1)
        self._emit = emit
        self._done = 0
        # The rate counts from the end of the first step, which also starts processes and fills caches.
        self._first: tuple[int, float] | None = None

    def step(self, samples: int, text: str | None) -> None:
        """Count samples as seen and say what happened, if anything is worth saying."""
        self._done += samples
        if self._first is None:
            self._first = (self._done, time.monotonic())
        if text is None:
            return
        self._tell(text)

    def restore(self, samples: int, text: str) -> None:
        """Count samples that were seen before an interruption: they are done, and tell nothing of the speed."""
        self._done += samples
        if self._first is not None:
            done, since = self._first
            self._first = done + samples, since
        self._tell(text)

    def _tell(self, text: str) -> None:
        share = min(self._done / self._total, 1.0)
        first, since = self._first or (self._done, 0.0)
        done, passed = self._done - first, time.monotonic() - since
        left = f"{_clock(passed * max(self._total - self._done, 0) / done)} left" if done else "         "
        self._emit(f"[{share:4.0%} {left}] {text}")

    def skip(self, samples: int) -> None:
        """Take off samples that need not be seen any more."""
        self._total = max(self._total - samples, 1)

    def say(self, text: str) -> None:
        """Say something that is no step."""
        self._emit(text)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes:2d}:{rest:02d}"
