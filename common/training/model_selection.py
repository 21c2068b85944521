"""Which moment of a training becomes the model: chosen on validation images only."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.evaluation.evaluation_counts import EvaluationCounts


@dataclass(frozen=True)
class BestModel:
    """A tail that a selection kept.

    Attributes
    ----------
    tail : ndarray of float32
        A copy.
    loss : float or None
        Its validation loss; None where nobody measured it, or it does not count.
    progress : float
        When it was offered, as a share of the budget in [0, 1].
    """

    tail: NDArray[np.float32]
    loss: float | None
    progress: float


class ModelSelection:
    """Keeps the tail that the plan's rule prefers, while a training goes on.

    The rule "best" takes the lowest validation loss and, of equal ones, the later. The loss is used rather than the
    accuracy, since a dozen validation images give an accuracy only a dozen values. Without validation images the last
    tail is kept, as under the rule "last".

    Parameters
    ----------
    rule : {"best", "last"}
        `federation.select`.
    kept : BestModel or None
        Of a training that goes on.

    Attributes
    ----------
    kept : BestModel or None
        None before the first offer.
    """

    def __init__(self, rule: Literal["best", "last"], kept: BestModel | None = None) -> None:
        self._rule = rule
        self.kept = kept

    def offer(self, tail: NDArray[np.float32], score: EvaluationCounts | None, progress: float) -> None:
        """Consider the tail at one moment; it is copied if kept."""
        loss = None
        if self._rule == "best":
            loss = score.loss if score is not None and score.images > 0 else None
            # What nobody measured is never better than what somebody did.
            if self.kept is not None and _or_infinity(loss) > _or_infinity(self.kept.loss):
                return
        self.kept = BestModel(tail.copy(), loss, progress)


def _or_infinity(loss: float | None) -> float:
    return math.inf if loss is None else loss
