"""Which tail of a training becomes the model: chosen on validation images only."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.evaluation.evaluation_counts import EvaluationCounts


@dataclass(frozen=True)
class BestModel:
    """The selected tail.

    Attributes
    ----------
    tail : ndarray of float32
        A copy.
    loss : float or None
        Its validation loss; None where there were no validation images, or the rule is "last".
    progress : float
        When it was offered, as the share of the training that was done, in [0, 1].
    """

    tail: NDArray[np.float32]
    loss: float | None
    progress: float


class ModelSelection:
    """Selects a tail by the plan's rule while a training goes on.

    The rule "best" takes the tail with the lowest validation loss; of equal ones, the latest. The loss is used rather
    than the accuracy, since on a dozen validation images an accuracy has only a dozen values. Without validation images
    the last tail is selected, as under the rule "last".

    Parameters
    ----------
    rule : {"best", "last"}
        `federation.select`.
    best : BestModel or None
        What was selected before a training was resumed.

    Attributes
    ----------
    best : BestModel or None
        None before the first offer.
    """

    def __init__(self, rule: Literal["best", "last"], best: BestModel | None = None) -> None:
        self._rule = rule
        self.best = best

    def offer(self, tail: NDArray[np.float32], validation: EvaluationCounts | None, progress: float) -> None:
        """Consider a tail with its evaluation on the validation images; it is copied if selected."""
        loss = None
        if self._rule == "best":
            loss = validation.loss if validation is not None and validation.images > 0 else None
            # A missing loss counts as infinite.
            if self.best is not None and _or_infinity(loss) > _or_infinity(self.best.loss):
                return
        self.best = BestModel(tail.copy(), loss, progress)


def _or_infinity(loss: float | None) -> float:
    return math.inf if loss is None else loss
