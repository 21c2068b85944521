"""How far a hospital can be relied on, and how large an update may be: judged from the rounds so far."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common.plan.groups import FederationPlan

OFFLINE = "offline"
"""Why a hospital was not asked; no fault of its replies."""

# Norms shrink over a training: only the last rounds say what is usual, and a few hospitals say little.
NORM_ROUNDS = 3
_LEAST_NORMS = 3


@dataclass(frozen=True)
class Standing:
    """How far a hospital can be relied on.

    Attributes
    ----------
    faults : int
        Rounds in a row in which its reply could not be used.
    back_in : int
        The round in which it is asked again; 0 for one that is not in quarantine.
    """

    faults: int = 0
    back_in: int = 0


def judge(
    number: int,
    standings: Mapping[str, Standing],
    used: Container[str],
    failures: Mapping[str, str],
    federation: FederationPlan,
) -> dict[str, Standing]:
    """Return the hospitals' standings after a round; who has none is in order.

    Parameters
    ----------
    number : int
        Of the round.
    standings : mapping of str to Standing
        Before it.
    used : container of str
        Hospitals whose replies were used.
    failures : mapping of str to str
        Of the others: why not.
    federation : FederationPlan
        How many faults are too many.
    """
    judged = {name: standing for name, standing in standings.items() if name not in used}
    for name, reason in failures.items():
        before = judged.get(name, Standing())
        if before.back_in > number or reason == OFFLINE:
            continue
        faults, limit = before.faults + 1, federation.quarantine_after
        back_in = number + 1 + federation.quarantine_rounds if limit and faults >= limit else 0
        judged[name] = Standing(faults, back_in)
    return judged


def outliers(norms: Mapping[str, float], recent: Sequence[float], limit: float) -> dict[str, str]:
    """Return which updates are far larger than what hospitals send, with the reasons.

    Parameters
    ----------
    norms : mapping of str to float
        L2 norms of a round's updates.
    recent : sequence of float
        Norms of the updates that were used in the rounds before.
    limit : float
        In multiples of the median; 0: none is too large.
    """
    known = [*recent, *norms.values()]
    if not limit or len(known) < _LEAST_NORMS:
        return {}
    usual = float(np.median(known))
    return {
        name: f"update norm {norm:.3g} is more than {limit:g} times the usual {usual:.3g}"
        for name, norm in norms.items()
        if norm > limit * usual
    }
