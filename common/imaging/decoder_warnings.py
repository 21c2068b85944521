"""Mutes the warnings of image decoders, which may quote patients' data."""

import logging
import threading
import warnings
from contextlib import AbstractContextManager
from types import TracebackType

# Both libraries log the values of unusual tags (names, dates, device numbers). rarefed's own message names the file;
# the values of its tags must not reach a log.
for _library in ("PIL", "pydicom"):
    logging.getLogger(_library).setLevel(logging.CRITICAL)


class MutedWarnings(AbstractContextManager[None]):
    """Mute Python warnings while any thread decodes.

    `warnings.catch_warnings` is not made for threads: two that overlap may leave the filters of one behind. Here the
    first thread to enter saves the filters, and the last to leave restores them.
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
