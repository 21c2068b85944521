"""What a federation knows between two rounds and at its end: reports, state and result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.evaluation.evaluation_counts import EvaluationCounts
from common.training.selection_rules import KeptModel
from server.rounds.quarantine import QuarantineStatus
from server.rounds.reply_checks import SiteReport


class FailedAttempt(NamedTuple):
    """An attempt at a round that gave too few usable replies, after which hospitals were asked again.

    Attributes
    ----------
    usable : int
        How many hospitals had given a usable reply by its end.
    failures : dict of str to str
        Why there was none of the other sites, by site.
    """

    usable: int
    failures: dict[str, str]


@dataclass(frozen=True)
class RoundReport:
    """What came of one round.

    Attributes
    ----------
    round : int
        From 1.
    seconds : float
        Time from the first message until enough replies were in.
    sites : dict of str to SiteReport
        The replies that were used, by site, without the changes, which are as large as the model.
    failures : dict of str to str
        Why there is no reply of the other sites, by site.
    evaluation : EvaluationCounts or None
        Of the tail that the round *started* from, over the validation images of all hospitals that share it.
    late, repeated : dict of str to int
        Number of replies that came during this round and were discarded, by site: those that came after the time of
        their request, and those that were not the first.
    failed_attempts : tuple of FailedAttempt
        Those before the one that the rest tells of, in order, since the server took the round up.
    """

    round: int
    seconds: float
    sites: dict[str, SiteReport]
    failures: dict[str, str]
    evaluation: EvaluationCounts | None
    late: dict[str, int] = field(default_factory=dict)
    repeated: dict[str, int] = field(default_factory=dict)
    failed_attempts: tuple[FailedAttempt, ...] = ()

    @property
    def evaluations(self) -> dict[str, EvaluationCounts]:
        """What `evaluation` is the sum of, by site."""
        return {name: site.evaluation for name, site in self.sites.items() if site.evaluation is not None}

    @property
    def train_loss(self) -> float | None:
        """Mean training loss over all hospitals that share it, by their weights; None if none does."""
        told = [(site.train_loss, site.weight) for site in self.sites.values() if site.train_loss is not None]
        return sum(loss * weight for loss, weight in told) / sum(weight for _, weight in told) if told else None


@dataclass(frozen=True)
class FederationState:
    """A federation after some rounds.

    Attributes
    ----------
    tail : ndarray of float32, shape (layout.size,)
        The tail that the next round starts from.
    federation : str
        Identifies this federation to the hospitals, also after it was resumed, so that they find their own layers and
        earlier replies again.
    kept : KeptModel or None
        What would be the model if the tail before `tail` had been the last one.
    optimizer : mapping of str to ndarray
        Moments of a server optimiser; empty for most strategies.
    rounds : tuple of RoundReport
        The finished rounds.
    quarantine : mapping of str to QuarantineStatus
        Status by hospital; those without faults are left out.
    """

    tail: NDArray[np.float32]
    federation: str
    kept: KeptModel | None = None
    optimizer: Mapping[str, NDArray[np.floating]] = field(default_factory=dict)
    rounds: tuple[RoundReport, ...] = ()
    quarantine: Mapping[str, QuarantineStatus] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """How long the finished rounds took."""
        return sum(report.seconds for report in self.rounds)


@dataclass(frozen=True)
class FederationResult:
    """The selected or averaged global tail and how it came about.

    Attributes
    ----------
    tail : ndarray of float32, shape (layout.size,)
        The selected one, or the average.
    selected_round : int
        The round after which it stood; of an average, the last one in it.
    averaged_from : int or None
        Of an average, the first round in it.
    rounds : tuple of RoundReport
        In order.
    validation : tuple of EvaluationCounts or None
        Of the global tail after 0, 1, ... rounds, over all hospitals.
    test : dict of str to EvaluationCounts
        Of the selected tail, by site.
    """

    tail: NDArray[np.float32]
    selected_round: int
    averaged_from: int | None
    rounds: tuple[RoundReport, ...]
    validation: tuple[EvaluationCounts | None, ...]
    test: dict[str, EvaluationCounts]
