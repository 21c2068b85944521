"""Which hospitals are not asked for a while, and how large an update may be: decided by the rounds so far."""

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from common.plan.groups import FederationPlan

OFFLINE = "offline"
"""Why a hospital was not asked: it does not count as a fault."""

NORM_ROUNDS = 3
"""Norms shrink during a training, so only so many last rounds say what is usual."""


@dataclass(frozen=True)
class QuarantineStatus:
    """How often a hospital failed in a row, and whether it is in quarantine.

    Attributes
    ----------
    faults : int
        Rounds in a row in which its reply could not be used.
    back_in : int
        The round in which it is asked again; 0 for one that is not in quarantine.
    """

    faults: int = 0
    back_in: int = 0


def update_quarantine(
    number: int,
    quarantine: Mapping[str, QuarantineStatus],
    used: Container[str],
    failures: Mapping[str, str],
    federation: FederationPlan,
) -> dict[str, QuarantineStatus]:
    """Return the hospitals' status after a round; those without faults are left out.

    Parameters
    ----------
    number : int
        Number of the round, from 1.
    quarantine : mapping of str to QuarantineStatus
        The status before the round, by hospital.
    used : container of str
        Hospitals whose replies were used.
    failures : mapping of str to str
        Why the replies of the other hospitals were not, by hospital.
    federation : FederationPlan
        Says after how many faults a hospital is put in quarantine, and for how long.
    """
    updated = {name: status for name, status in quarantine.items() if name not in used}
    for name, reason in failures.items():
        before = updated.get(name, QuarantineStatus())
        if before.back_in > number or reason == OFFLINE:
            continue
        faults, limit = before.faults + 1, federation.quarantine_after
        back_in = number + 1 + federation.quarantine_rounds if limit and faults >= limit else 0
        updated[name] = QuarantineStatus(faults, back_in)
    return updated


def outliers(norms: Mapping[str, float], recent: Sequence[float], limit: float) -> dict[str, str]:
    """Return the hospitals whose update is far larger than usual, each with the reason.

    Usual is the median. Of an even number of norms, half may be lies, which make it seem usual to be large, or to be
    small: left out is what is too large by both of the two middle ones. What is too large by the smaller alone is used
    where the two are close; where they are not, nobody can say which half is right, and no update is used.

    Parameters
    ----------
    norms : mapping of str to float
        L2 norms of the round's updates, by hospital.
    recent : sequence of float
        L2 norms of the updates that were used in the rounds before.
    limit : float
        The largest norm allowed, in multiples of the median norm; 0: no limit.
    """
    known = sorted([*recent, *norms.values()])
    if not limit or len(known) < 2:
        return {}
    lower, upper = known[(len(known) - 1) // 2], known[len(known) // 2]
    unclear = [norm for norm in norms.values() if limit * lower < norm <= limit * upper]
    if unclear and upper > math.sqrt(limit) * lower:
        halves = f"one half of the update norms is {lower:.3g} or less, the other {upper:.3g} or more"
        return dict.fromkeys(norms, f"{halves}: nobody can say whether {max(unclear):.3g} is usual")
    return {
        name: f"update norm {norm:.3g} is more than {limit:g} times the usual {upper:.3g}"
        for name, norm in norms.items()
        if norm > limit * upper
    }
