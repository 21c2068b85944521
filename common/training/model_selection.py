"""Which tail of a training becomes the model: decided by the plan's rule, on validation images only."""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from common.evaluation.evaluation_counts import EvaluationCounts
from common.plan.selection import SelectionName
from common.training.selection_rules import RULES, KeptModel, Offer, Scores


class ModelSelection:
    """Selects or averages tails by the plan's rule while a training goes on; `selection_rules` has the rules.

    Validation losses are compared on the hospitals that scored all of the tails: images of one hospital are harder than
    those of another, and a round in which that one was missing would seem the best. A tail that shares no hospital with
    the selected one does not displace it. The loss is used rather than the accuracy, since on a dozen validation images
    an accuracy has only a dozen values. Without validation images every rule that compares losses keeps the last tail.

    Under FedBN the hospitals test an average with their own layers of the last round in it.

    Parameters
    ----------
    rule : str
        `federation.select`.
    total : int
        How many tails the whole training offers: its rounds, or its epochs.
    kept : KeptModel or None
        What was kept before a training was resumed.
    earlier : iterable of mapping
        What was offered before a training was resumed: each tail's evaluations by hospital.
    largest_weight : float
        Of one hospital in a pooled loss, in multiples of the median number of images; 0: no bound.

    Attributes
    ----------
    kept : KeptModel or None
        None before the first offer.
    """

    def __init__(
        self,
        rule: SelectionName,
        total: int,
        kept: KeptModel | None = None,
        earlier: Iterable[Mapping[str, EvaluationCounts]] = (),
        largest_weight: float = 0.0,
    ) -> None:
        self._rule = RULES[rule]
        self._total = total
        self._largest_weight = largest_weight
        self._scores = [_with_images(each) for each in earlier]
        self.kept = kept

    def offer(self, tail: NDArray[np.float32], validation: Mapping[str, EvaluationCounts]) -> KeptModel:
        """Take in the next tail with its evaluations on validation images by hospital; return what is kept now."""
        self._scores.append(_with_images(validation))
        self.kept = self._rule(self.kept, Offer(tail, self._scores, self._total, self._largest_weight))
        return self.kept


def _with_images(validation: Mapping[str, EvaluationCounts]) -> Scores:
    """Return the evaluations of those hospitals that had validation images."""
    return {name: counts for name, counts in validation.items() if counts.images}
