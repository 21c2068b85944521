"""How a federation went, as the JSON values of `rounds.jsonl` and `summary.json`."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.stats import binomtest

from common.evaluation.evaluation_counts import EvaluationCounts
from common.evaluation.learning_curve import CurvePoint, curve_point_entry
from common.evaluation.metrics import rates
from common.evaluation.roc import RocCurve
from common.statistics.intervals import newcombe_auc_interval
from server.rounds.state import FederationResult, RoundReport


def round_entry(report: RoundReport, rounds: int) -> dict[str, Any]:
    """Return a round of a federation of `rounds` rounds as a line of `rounds.jsonl`."""
    return {
        "round": report.round,
        "seconds": round(report.seconds, 3),
        "sites": {
            name: {"images": site.images, "train_loss": site.train_loss, "change_norm": site.change_norm}
            for name, site in report.sites.items()
        },
        "left_out": report.failures,
        "late": report.late,
        "repeated": report.repeated,
        "train_loss": report.train_loss,
        # The score of a round's message is of the tail that the round before made.
        "start": curve_point_entry(CurvePoint((report.round - 1) / rounds, None, report.evaluation)),
    }


def learning_curve(result: FederationResult, rounds: int) -> list[dict[str, float | None]]:
    """Return the learning curve of a federation, from before the first round to after the last."""
    losses = [None, *(report.train_loss for report in result.rounds)]
    return [
        curve_point_entry(CurvePoint(number / rounds, loss, score))
        for number, (loss, score) in enumerate(zip(losses, result.validation, strict=True))
    ]


def federated_evaluation(result: FederationResult) -> dict[str, Any] | None:
    """Return what the server knows of the test patients without having seen one; None if no hospital shares scores."""
    pooled = EvaluationCounts.pool(result.test.values())
    if pooled is None:
        return None
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


def metrics_of_counts(score: EvaluationCounts) -> dict[str, Any]:
    """Return the metrics that counts and histograms allow, with intervals that take every image for a patient.

    Hospitals do not tell which images belong to one patient: where some have several, the intervals are too narrow.
    Shares have Wilson's interval, the AUC Newcombe's; with more than two classes macro rates have none.
    """
    found = rates(score.confusion)
    area = score.histogram.auc()
    binary = len(score.confusion) == 2
    (negative, false_positive), (false_negative, positive) = score.confusion.tolist() if binary else ((0, 0), (0, 0))
    intervals = {"accuracy": _wilson(found.correct, found.total)}
    if binary:
        intervals |= {
            "sensitivity": _wilson(positive, positive + false_negative),
            "specificity": _wilson(negative, negative + false_positive),
            "precision": _wilson(positive, positive + false_positive),
            "auc": None
            if area is None
            else list(newcombe_auc_interval(area, positive + false_negative, negative + false_positive)),
        }
    return {
        "correct": found.correct,
        "total": found.total,
        "accuracy": found.accuracy,
        "sensitivity": found.sensitivity,
        "specificity": found.specificity,
        "precision": found.precision,
        "f1": found.f1,
        "auc": area,
        "confusion": score.confusion.tolist(),
        "ci95": intervals,
    }


def pooled_metrics(scores: Iterable[EvaluationCounts]) -> dict[str, Any] | None:
    """Return the metrics of hospitals' scores taken together; None for no score."""
    pooled = EvaluationCounts.pool(scores)
    return metrics_of_counts(pooled) if pooled is not None and pooled.images else None


def _wilson(count: int, total: int) -> list[float] | None:
    if not total:
        return None
    interval = binomtest(count, total).proportion_ci(0.95, "wilson")
    return [float(interval.low), float(interval.high)]


def _points(curve: RocCurve | None) -> list[list[float]] | None:
    """Return a ROC curve as pairs of false and true positive rate."""
    if curve is None:
        return None
    points: list[list[float]] = np.column_stack([curve.false_positive_rate, curve.true_positive_rate]).tolist()
    return points
