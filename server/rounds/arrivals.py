"""Waits for hospitals to come online before a federation begins."""

import time
from collections.abc import Sequence

from common.errors import RunError
from common.plan.groups import FederationPlan
from server.rounds.observer import FederationObserver
from server.rounds.roster import Roster


def wait_for_hospitals(
    roster: Roster, settings: FederationPlan, observer: FederationObserver, poll_seconds: float
) -> None:
    """Wait until all approved hospitals are online, or for `federation.wait_seconds` and then for enough of them.

    Parameters
    ----------
    roster : Roster
        Says who is online, and who is not.
    settings : FederationPlan
        How long to wait, and how many hospitals are enough.
    observer : FederationObserver
        Is told for whom the federation waits, whenever that changes, and who is not there at the end.
    poll_seconds : float
        Time between two looks.

    Raises
    ------
    RunError
        If too few hospitals came online.
    """
    deadline = time.monotonic() + settings.wait_seconds
    told: list[str] | None = None
    try:
        while True:
            online, absent = [member.name for member in roster.present()], roster.absent()
            if online and not absent:
                return
            if time.monotonic() > deadline:
                break
            if absent != told:
                observer.waiting(_describe(absent, deadline - time.monotonic(), settings))
                told = absent
            time.sleep(poll_seconds)
    finally:
        observer.waiting(None)
    if len(online) < settings.min_sites:
        raise RunError(
            f"{len(online)} of {len(online) + len(absent)} admitted hospitals came online within "
            f"{settings.wait_seconds:.0f} s, federation.min_sites is {settings.min_sites}; "
            f"offline: {', '.join(absent) or 'nobody was approved yet (rarefed-server approve)'}"
        )
    observer.trouble(
        f"beginning without {', '.join(absent)}: offline; whoever comes online later takes part from then on"
    )


def _describe(absent: Sequence[str], seconds: float, settings: FederationPlan) -> str:
    whom = (
        f"{', '.join(absent)} to come online" if absent else "a first hospital to be approved (rarefed-server approve)"
    )
    return (
        f"waiting for {whom}, {seconds:.0f} s at most (federation.wait_seconds): the run begins as soon as all "
        f"approved hospitals are online, and after that time with {settings.min_sites} or more (federation.min_sites)"
    )
