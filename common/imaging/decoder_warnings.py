"""Image decoders that keep to themselves what they find odd in a file."""

import logging
import threading
import warnings
from contextlib import AbstractContextManager
from types import TracebackType

# Both libraries log the values of tags (names, dates, device numbers) when they find them odd. rarefed's own message
# names the file; what its tags say shall not reach a log.
for _library in ("PIL", "pydicom"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)


class MutedWarnings(AbstractContextManager[None]):
    """Mute Python warnings while any thread decodes.

    `warnings.catch_warnings` alone is not made for threads: two that overlap may leave the filters of one behind. Here
    the first thread to enter saves them and the last to leave restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._saved.__exit__(kind, error, trace)


MUTED = MutedWarnings()
