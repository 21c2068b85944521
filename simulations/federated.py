"""The federated arm: one federation over Flower on one fold."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common import exchange
from common.exchange import TailLayout, digest_of
from common.models import build_model
from common.roc import RocCurve
from common.scoring import Score
from server.federation import Federation, FederationResult, Member, RoundReport
from simulations.moments import Moment, moment_entry
from simulations.outcomes import Outcome
from simulations.units import Unit
from simulations.work import Workers


@dataclass(frozen=True)
class Federated:
    """The outcome of a federation, and the model itself."""

    outcome: Outcome
    tail: NDArray[np.float32]
    layout: TailLayout
    trunk_digest: str


def run_federated(unit: Unit, workers: Workers, on_round: Callable[[RoundReport], None]) -> Federated:
    """Run one federation, one message a site and round, and test the selected model on every site's patients.

    Parameters
    ----------
    unit : Unit
        Of the arm "federated".
    workers : Workers
        Where the sites compute.
    on_round : callable
        Called after each round, in this thread.
    """
    started = time.monotonic()
    plan, sites = unit.plan, unit.hospitals.sites
    classes = len(unit.hospitals.dataset.classes)
    model = build_model(plan, classes)
    layout = TailLayout.of(model.tail, plan.model.batch_norm)
    members = [Member(workers.node(number), {exchange.SITE: number}) for number in range(len(sites))]
    federation = Federation(
        workers, plan, classes=classes, layout=layout, trunk_digest=model.trunk_digest, on_round=on_round
    )
    result = federation.run(members, layout.pack(model.tail))
    outcome = Outcome(
        probabilities=workers.predict(unit, result.tail),
        history=[moment_entry(moment) for moment in _history(result, plan.federation.rounds)],
        selected=result.selected_round / plan.federation.rounds,
        wall_s=time.monotonic() - started,
        image_passes=sum(passes_of(unit, report) for report in result.rounds),
        trained_parameters=layout.size,
        total_parameters=model.parameter_count,
        weights_digest=digest_of(result.tail),
        federated_evaluation=_evaluation(result),
    )
    return Federated(outcome, result.tail, layout, model.trunk_digest)


def passes_of(unit: Unit, report: RoundReport) -> int:
    """Return how many training images a round showed to the network."""
    return unit.plan.federation.local_epochs * sum(site.images for site in report.sites.values())


def _history(result: FederationResult, total: int) -> list[Moment]:
    # The score of a round's message is of the tail that the round before made.
    losses = [None, *(report.train_loss for report in result.rounds)]
    return [
        Moment(number / total, loss, score)
        for number, (loss, score) in enumerate(zip(losses, result.validation, strict=True))
    ]


def _evaluation(result: FederationResult) -> dict[str, Any]:
    """What the server knows of the test patients without having seen one: the hospitals' counts and histograms."""
    pooled = Score.pool(result.test.values())
    assert pooled is not None
    return {
        "selected_round": result.selected_round,
        "images": pooled.images,
        "confusion": pooled.confusion.tolist(),
        "auc": pooled.histogram.auc(),
        "roc": _points(pooled.histogram.roc()),
        "loss": pooled.loss,
        "left_out": [
            {"round": report.round, "site": site, "reason": reason}
            for report in result.rounds
            for site, reason in report.failures.items()
        ],
    }


def _points(curve: RocCurve | None) -> list[list[float]] | None:
    """Return a ROC curve as pairs of false and true positive rate."""
    if curve is None:
        return None
    points: list[list[float]] = np.column_stack([curve.false_positive_rate, curve.true_positive_rate]).tolist()
    return points
