"""Finds out, beside the daemon's own work, what keeps a hospital from its server."""

import threading
import time

from client.preflight.connection import diagnose_connection
from client.preflight.findings import Status
from client.rules.hospital_file import HospitalFile

# A diagnosis ends within some fifty seconds; while the server is silent, another is begun every few.
_LATELY_SECONDS = 120.0


class Diagnosis:
    """Diagnoses in a thread of its own: whoever answers in the server's place can take as long as each step may.

    Parameters
    ----------
    hospital : HospitalFile
        The hospital's own file.
    """

    def __init__(self, hospital: HospitalFile) -> None:
        self._hospital = hospital
        self._under_way = threading.Lock()
        self._ended: float | None = None
        self._problem: str | None = None
        self._told = True

    def begin(self) -> None:
        """Begin one, unless one is under way; returns at once."""
        if self._under_way.acquire(blocking=False):
            try:
                # A daemon thread: the daemon's end waits for no stranger's answer.
                threading.Thread(target=self._run, name="diagnosis", daemon=True).start()
            except RuntimeError:  # no thread to be had; the next time there may be
                self._under_way.release()

    def take(self) -> tuple[str | None] | None:
        """Return the outcome of one that ended since the last call; None if none did.

        Returns
        -------
        tuple of (str or None) or None
            What keeps this hospital from its server, and how to mend it; (None,) if nothing does.
        """
        if self._told:
            return None
        self._told = True
        return (self._problem,)

    def finds_nothing(self) -> bool:
        """Say whether one ended lately, and found a server that answers as it should."""
        return self._ended is not None and self._problem is None and time.monotonic() - self._ended < _LATELY_SECONDS

    def _run(self) -> None:
        try:
            self._problem = self._diagnose()
            self._ended = time.monotonic()
            self._told = False
        finally:
            self._under_way.release()

    def _diagnose(self) -> str | None:
        try:
            findings = diagnose_connection(self._hospital)
        except Exception as error:  # noqa: BLE001 - no fault of a diagnosis may end what it is for
            return f"the connection to {self._hospital.server} cannot be diagnosed ({type(error).__name__})"
        for finding in findings:
            if finding.status == Status.FAILED:
                return f"{finding.found}: {finding.mend}" if finding.mend else finding.found
        return None
