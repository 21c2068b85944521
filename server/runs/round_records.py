"""How a federation went, as lines of `rounds.jsonl` and records of `summary.json`."""

from collections.abc import Iterable
from typing import Any

from scipy.stats import binomtest

from common.evaluation.evaluation_counts import EvaluationCounts
from common.evaluation.learning_curve import CurvePoint, curve_point_entry
from common.evaluation.metrics import rates
from common.evaluation.roc import RocCurve
from common.statistics.intervals import newcombe_auc_interval
from common.summary.arm import CurvePointRecord, MetricsRecord
from common.summary.record import Interval
from common.summary.summary import FederatedEvaluationRecord, LeftOutRecord
from server.rounds.state import FederationResult, RoundReport


def round_entry(report: RoundReport, rounds: int) -> dict[str, Any]:
    """Return a round of a federation of `rounds` rounds as a line of `rounds.jsonl`."""
    return {
        "round": report.round,
        "seconds": round(report.seconds, 3),
        "sites": {
            name: {
                "images": site.images,
                "weight": site.weight,
                "train_loss": site.train_loss,
                "change_norm": site.change_norm,
                "audit_head": site.audit_head,
            }
            for name, site in report.sites.items()
        },
        "left_out": report.failures,
        "late": report.late,
        "repeated": report.repeated,
        "attempts": len(report.failed_attempts) + 1,
        "failed_attempts": [
            {"usable": attempt.usable, "left_out": attempt.failures} for attempt in report.failed_attempts
        ],
        "train_loss": report.train_loss,
        # A round's evaluation is of the tail that the round before it made.
        "start": curve_point_entry(CurvePoint((report.round - 1) / rounds, None, report.evaluation)),
    }


def learning_curve(result: FederationResult, rounds: int) -> list[CurvePointRecord]:
    """Return the learning curve of a federation, from before the first round to after the last."""
    losses = [None, *(report.train_loss for report in result.rounds)]
    return [
        CurvePointRecord(**curve_point_entry(CurvePoint(number / rounds, loss, evaluation)))
        for number, (loss, evaluation) in enumerate(zip(losses, result.validation, strict=True))
    ]


def federated_evaluation(result: FederationResult) -> FederatedEvaluationRecord | None:
    """Return what the server knows of the test patients without having seen one; None if no hospital shares scores."""
    pooled = EvaluationCounts.pool(result.test.values())
    if pooled is None:
        return None
    return FederatedEvaluationRecord(
        selected_round=result.selected_round,
        images=pooled.images,
        confusion=pooled.confusion.tolist(),
        auc=pooled.ranking.auc(),
        roc=_points(pooled.histogram.roc()),
        loss=pooled.loss,
        left_out=[
            LeftOutRecord(round=report.round, site=site, reason=reason)
            for report in result.rounds
            for site, reason in report.failures.items()
        ],
    )


def metrics_of_counts(counts: EvaluationCounts) -> MetricsRecord:
    """Return the metrics that follow from counts and a histogram, with intervals that count each image as a patient.

    Hospitals do not tell which images belong to one patient: where some have several, the intervals are too narrow.
    Rates have Wilson's interval; the AUC, of the pairs within hospitals, has Newcombe's. With more than two classes,
    macro rates have none.
    """
    found = rates(counts.confusion)
    area = counts.ranking.auc()
    intervals = {"accuracy": _wilson(found.correct, found.total)}
    if len(counts.confusion) == 2:
        (negative, false_positive), (false_negative, positive) = counts.confusion.tolist()
        positives, negatives = positive + false_negative, negative + false_positive
        intervals |= {
            "sensitivity": _wilson(positive, positives),
            "specificity": _wilson(negative, negatives),
            "precision": _wilson(positive, positive + false_positive),
            "auc": None if area is None else newcombe_auc_interval(area, positives, negatives),
        }
    return MetricsRecord(
        correct=found.correct,
        total=found.total,
        accuracy=found.accuracy,
        sensitivity=found.sensitivity,
        specificity=found.specificity,
        precision=found.precision,
        f1=found.f1,
        auc=area,
        confusion=counts.confusion.tolist(),
        ci95=intervals,
    )


def pooled_metrics(evaluations: Iterable[EvaluationCounts]) -> MetricsRecord | None:
    """Return the metrics of hospitals' evaluations taken together; None where nobody tested an image."""
    pooled = EvaluationCounts.pool(evaluations)
    return metrics_of_counts(pooled) if pooled is not None and pooled.images else None


def _wilson(count: int, total: int) -> Interval | None:
    if not total:
        return None
    interval = binomtest(count, total).proportion_ci(0.95, "wilson")
    return float(interval.low), float(interval.high)


def _points(curve: RocCurve | None) -> list[tuple[float, float]] | None:
    """Return a ROC curve as pairs of false and true positive rate."""
    if curve is None:
        return None
    return list(zip(curve.false_positive_rate.tolist(), curve.true_positive_rate.tolist(), strict=True))
