"""Does the server hear of this hospital, and if not, why?"""

import re
import time
from collections.abc import Callable

from client.daemon.diagnosis import Diagnosis
from client.rules.hospital_file import HospitalFile

# In heartbeats: an older contact does not count. The server gives a hospital up after two.
_FRESH_BEATS = 2.5
# After a crash the server takes the node for online, and refuses its key, for two heartbeats and some delay.
_AFTER_CRASH_BEATS = 3
_KEY_REFUSED = "[code: 2004]"
_DIGITS = re.compile(r"\d+")

STUCK_SECONDS = 180.0
"""A SuperNode counts as stuck if a server that answers others has not heard of it for so long."""


class ServerContact:
    """Follows the SuperNode's contact with the server, and explains to a person what is wrong with it.

    No method waits for the network: what a diagnosis finds is said by the next `update`.

    Parameters
    ----------
    hospital : HospitalFile
        The hospital's own file.
    say : callable
        Takes one line per event.

    Attributes
    ----------
    file : Path
        The SuperNode touches it on every contact.
    online : bool
        Whether the server has heard of this hospital lately, as of the last `update`.
    problem : str or None
        What keeps the hospital offline, as far as it is known.
    """

    def __init__(self, hospital: HospitalFile, say: Callable[[str], None]) -> None:
        self.file = hospital.state / "contact"
        self.online = False
        self.problem: str | None = None
        self._hospital = hospital
        self._say = say
        self._since = time.time()
        self._diagnosis = Diagnosis(hospital)
        self._refused_since: float | None = None
        self._refused_anew = False
        self._restarts = 0

    @property
    def age(self) -> float:
        """Seconds since the last contact; infinite if there was none."""
        try:
            return time.time() - self.file.stat().st_mtime
        except OSError:
            return time.time() - self._since if self.online else float("inf")

    @property
    def is_fresh(self) -> bool:
        """Whether the last contact is so recent that the server takes this hospital for online."""
        return self.age < _FRESH_BEATS * self._hospital.heartbeat_seconds

    def update(self, supernode_runs: bool, restarts: int) -> None:
        """Look at the contact anew, and say what changed.

        Parameters
        ----------
        supernode_runs : bool
            Whether the SuperNode has a process.
        restarts : int
            How often the SuperNode was restarted so far.
        """
        online = self.is_fresh and supernode_runs
        if online != self.online:
            self.online = online
            server = self._hospital.server
            self._say(f"online at {server}" if online else "offline: the server does not hear of us")
            if online:
                self._refused_since = self.problem = None
        if restarts > self._restarts and not online:
            # Flower's SuperNode gives no reason that a person could act on, and may even end with exit code 0.
            self._diagnosis.begin()
        self._restarts = restarts
        if (outcome := self._diagnosis.take()) and not online:
            self._explain(*outcome)

    def supernode_works(self) -> bool:
        """Tell a stuck SuperNode from one whose server is away: a restart helps only the first."""
        if self.age < STUCK_SECONDS:
            return True
        server_is_well = self._diagnosis.finds_nothing()
        self._diagnosis.begin()
        return not server_is_well

    def read_line(self, line: str) -> None:
        """Look for a refused key in a line that the SuperNode printed."""
        if _KEY_REFUSED in line:
            self._refused_since = self._refused_since or time.monotonic()
            self._refused_anew = True
            self._diagnosis.begin()

    def _explain(self, problem: str | None) -> None:
        refused_since, anew = self._refused_since, self._refused_anew
        self._refused_anew = False
        if problem:
            self._complain(problem)
        elif refused_since is not None and anew:
            self._explain_refused_key(time.monotonic() - refused_since)

    def _explain_refused_key(self, waited: float) -> None:
        beat = self._hospital.heartbeat_seconds
        if waited < _AFTER_CRASH_BEATS * beat:
            self._say(
                f"the server refuses this hospital's key, as it does for {2 * beat} s after a crash; trying again"
            )
        else:
            self._complain(
                f"the server has refused this hospital's key for {waited:.0f} s: most likely another daemon is online "
                "with it, which has to be stopped; otherwise ask the coordinator whether the key is approved"
            )

    def _complain(self, problem: str) -> None:
        # The same with another number of seconds is not said again.
        if _DIGITS.sub("", problem) != _DIGITS.sub("", self.problem or ""):
            self._say(problem)
        self.problem = problem
