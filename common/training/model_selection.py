"""Which tail of a training becomes the model: chosen on validation images only."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.evaluation.evaluation_counts import EvaluationCounts


class SiteLoss(NamedTuple):
    """The mean validation loss of one hospital, and of how many images."""

    images: int
    loss: float


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
    by_site : dict of str to SiteLoss
        Its validation losses by hospital, of those that had validation images.
    """

    tail: NDArray[np.float32]
    loss: float | None
    progress: float
    by_site: Mapping[str, SiteLoss] = field(default_factory=dict)


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
        by_site: dict[str, SiteLoss] = {}
        if self._rule == "best":
            by_site = {name: SiteLoss(one.images, one.loss) for name, one in validation.items() if one.images}
            if self.best is not None and self.best.by_site:
                common = by_site.keys() & self.best.by_site.keys()
                if not common or _mean(by_site, common) > _mean(self.best.by_site, common):
                    return
        loss = _mean(by_site, by_site.keys()) if by_site else None
        self.best = BestModel(tail.copy(), loss, progress, by_site)


def _mean(losses: Mapping[str, SiteLoss], sites: Iterable[str]) -> float:
    """Return the mean loss over the images of some hospitals, in the order of their names."""
    chosen = [losses[name] for name in sorted(sites)]
    return sum(one.images * one.loss for one in chosen) / sum(one.images for one in chosen)
