"""Which tail of a training becomes the model: chosen on validation images only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
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
    progress : float
        When it was offered, as the share of the training that was done, in [0, 1].
    by_site : dict of str to EvaluationCounts
        Its evaluations by hospital, of those that had validation images; empty under the rule "last".
    """

    tail: NDArray[np.float32]
    progress: float
    by_site: Mapping[str, EvaluationCounts] = field(default_factory=dict)

    @property
    def loss(self) -> float | None:
        """Its validation loss; None where there were no validation images, or the rule is "last"."""
        return _loss(self.by_site, self.by_site) if self.by_site else None


class ModelSelection:
    """Selects a tail by the plan's rule while a training goes on.

    The rule "best" takes the tail with the lowest validation loss; of equal ones, the latest. Two tails are compared on
    the hospitals that scored both: images of one hospital are harder than those of another, and a round in which that
    one was missing would seem the best. A tail that shares no hospital with the selected one does not displace it. The
    loss is used rather than the accuracy, since on a dozen validation images an accuracy has only a dozen values.
    Without validation images the last tail is selected, as under the rule "last".

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

    def offer(self, tail: NDArray[np.float32], validation: Mapping[str, EvaluationCounts], progress: float) -> None:
        """Consider a tail with its evaluations on validation images by hospital; it is copied if selected."""
        by_site = with_images(validation) if self._rule == "best" else {}
        if self.best is not None and self.best.by_site:
            common = by_site.keys() & self.best.by_site.keys()
            if not common or _loss(by_site, common) > _loss(self.best.by_site, common):
                return
        self.best = BestModel(tail.copy(), progress, by_site)


def with_images(validation: Mapping[str, EvaluationCounts]) -> dict[str, EvaluationCounts]:
    """Return the evaluations of those hospitals that had validation images."""
    return {name: counts for name, counts in validation.items() if counts.images}


def _loss(by_site: Mapping[str, EvaluationCounts], sites: Iterable[str]) -> float:
    """Return the mean loss over the images of some hospitals, at least one, in the order of their names."""
    pooled = EvaluationCounts.pool(by_site[name] for name in sorted(sites))
    assert pooled is not None
    return pooled.loss
