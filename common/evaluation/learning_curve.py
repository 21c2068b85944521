"""A point of a learning curve, and its JSON values."""

from dataclasses import dataclass

from common.evaluation.evaluation_counts import EvaluationCounts


@dataclass(frozen=True)
class CurvePoint:
    """One point of a learning curve.

    Attributes
    ----------
    progress : float
        Share of the training that is done, in [0, 1].
    train_loss : float or None
        Mean over the last epoch.
    validation : EvaluationCounts or None
        Of the model at this point.
    """

    progress: float
    train_loss: float | None
    validation: EvaluationCounts | None


def curve_point_entry(point: CurvePoint) -> dict[str, float | None]:
    """Return a point of a learning curve as JSON values."""
    scored = point.validation if point.validation is not None and point.validation.images else None
    return {
        "progress": round(point.progress, 6),
        "train_loss": point.train_loss,
        "validation_loss": scored.loss if scored else None,
        "validation_accuracy": scored.accuracy if scored else None,
        "validation_auc": scored.ranking.auc() if scored else None,
    }
