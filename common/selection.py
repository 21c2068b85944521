"""Which moment of a training becomes the model: chosen on validation images only."""

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from common.scoring import Score


class Selection:
    """Keeps the tail that the plan's rule prefers, while a training goes on.

    The rule "best" takes the lowest validation loss and, of equal ones, the later. The loss is used rather than the
    accuracy, since a dozen validation images give an accuracy only a dozen values. Without validation images the last
    tail is kept, as under the rule "last".

    Attributes
    ----------
    tail : ndarray of float32 or None
        What was kept; None before the first offer.
    progress : float
        When it was offered, as a share of the budget in [0, 1].
    """

    def __init__(self, rule: Literal["best", "last"]) -> None:
        self._rule = rule
        self._loss = math.inf
        self.tail: NDArray[np.float32] | None = None
        self.progress = 0.0

    def offer(self, tail: NDArray[np.float32], score: Score | None, progress: float) -> None:
        """Consider the tail at one moment; it is copied if kept."""
        if self._rule == "best":
            # Nobody measured it: never better than what somebody did.
            loss = score.loss if score is not None and score.images > 0 else math.inf
            if loss > self._loss:
                return
            self._loss = loss
        self.tail = tail.copy()
        self.progress = progress
