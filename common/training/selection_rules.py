"""The rules by which a training's tails become one model, each a function of what was kept and what is offered.

Every rule keeps one tail, and its choice depends only on that and on the evaluations of all tails so far: so a training
that is resumed with both chooses as if it had never been interrupted. Weights and evaluations are finite:
`Trainer.fit` and `reply_checks` let no others pass.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, exp
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from common.evaluation.evaluation_counts import EvaluationCounts, standard_error_of
from common.evaluation.site_weights import bounded_weights
from common.plan.selection import SelectionName

_WINDOW = 1 / 4
"""The share of a training over which tails are averaged, or their losses smoothed."""

_HALF_WINDOW = _WINDOW / 2
"""The mean age of what is averaged over that window, at its end; of an exponential average, its time constant."""

Scores = Mapping[str, EvaluationCounts]
"""One tail's evaluations by hospital, of those that have validation images."""


@dataclass(frozen=True)
class KeptModel:
    """The tail that would be the model if the training ended now.

    Attributes
    ----------
    tail : ndarray of float32
        A copy.
    number : int
        Of the offer, from 1, whose tail it is; of an average, the last one in it.
    measure : int
        The offer whose validation loss later ones are measured against.
    averaged_from : int or None
        Of an average, the first offer in it.
    """

    tail: NDArray[np.float32]
    number: int
    measure: int
    averaged_from: int | None = None


@dataclass(frozen=True)
class Offer:
    """A tail that may become the model.

    Attributes
    ----------
    tail : ndarray of float32
        May change afterwards.
    scores : sequence of Scores
        Of all offers so far, this one's last.
    total : int
        How many offers the whole training makes.
    largest_weight : float
        Of one hospital in the pooled loss, in multiples of the median number of images; 0: no bound.
    """

    tail: NDArray[np.float32]
    scores: Sequence[Scores]
    total: int
    largest_weight: float = 0.0

    @property
    def number(self) -> int:
        """Which offer it is, from 1."""
        return len(self.scores)

    @property
    def window(self) -> int:
        """Number of offers in a quarter of the training, at least 1."""
        return ceil(_WINDOW * self.total)

    def scores_until(self, number: int, width: int) -> Sequence[Scores]:
        """Return the scores of an offer and those just before it, `width` offers in all; none if nobody scored it."""
        if not self.scores[number - 1]:
            return []
        return [each for each in self.scores[max(number - width, 0) : number] if each]

    def kept(self) -> KeptModel:
        """Return the model that this tail alone makes."""
        return KeptModel(self.tail.copy(), self.number, self.number)

    def averaged(self, kept: KeptModel, weight: float) -> KeptModel:
        """Return the kept average, moved towards this tail by a weight in [0, 1]."""
        held = kept.tail.astype(np.float64)
        tail = (held + weight * (self.tail - held)).astype(np.float32)
        return KeptModel(tail, self.number, self.number, kept.averaged_from or kept.number)


Rule = Callable[[KeptModel | None, Offer], KeptModel]


def keep_last(kept: KeptModel | None, offer: Offer) -> KeptModel:
    """Keep the last tail."""
    return offer.kept()


def keep_mean(kept: KeptModel | None, offer: Offer) -> KeptModel:
    """Keep the mean of the tails of the last quarter of the training.

    This is the stochastic weight averaging of Izmailov et al. 2018, with the plan's own learning rates. Running
    statistics of a BatchNorm that is trained are averaged too, where the paper computes them anew: a server has no
    images for it.
    """
    place = offer.number - (offer.total - offer.window)
    return offer.kept() if kept is None or place <= 1 else offer.averaged(kept, 1 / place)


def keep_exponential_average(kept: KeptModel | None, offer: Offer) -> KeptModel:
    """Keep the exponential average of all tails (Polyak and Juditsky 1992; as Tarvainen and Valpola 2017 use it).

    A tail's weight falls by the factor e in an eighth of the training, whatever the number of offers: so the average
    is as old as the mean over the last quarter. Before the first offer, its tail is taken to have stood for ever.
    """
    return offer.kept() if kept is None else offer.averaged(kept, 1 - exp(-1 / (_HALF_WINDOW * offer.total)))


def keep_lowest_loss(kept: KeptModel | None, offer: Offer) -> KeptModel:
    """Keep the tail with the lowest validation loss."""
    return _keep_lowest_mean_loss(kept, offer, 1)


def keep_lowest_smoothed_loss(kept: KeptModel | None, offer: Offer) -> KeptModel:
    """Keep the tail with the lowest mean of its own validation loss and those just before it.

    The mean runs over a quarter of the training, so that one lucky round is not enough. Losses of the rounds after it
    would say as much, but all tails would have to wait for them.
    """
    return _keep_lowest_mean_loss(kept, offer, offer.window)


def keep_within_one_standard_error(kept: KeptModel | None, offer: Offer) -> KeptModel:
    """Keep the latest tail whose validation loss is at most one standard error above the lowest one.

    The rule of Breiman et al. 1984 (section 3.4.3; Hastie et al. 2009, section 7.10) takes the simplest of the models
    that the data cannot tell from the best. Of a training whose learning rate falls to zero these are not the earliest:
    they are the ones that the recipe is made to end in, and to stop before takes a loss that is worse by more than
    chance. The earliest would often be of the first rounds, which a dozen images cannot tell from any other.
    """
    if kept is None or not (held := offer.scores[kept.measure - 1]):
        return offer.kept()
    new = offer.scores[-1]
    sites = held.keys() & new.keys()
    if not sites:
        return kept
    lowest, loss = _pooled(held, sites, offer), _pooled(new, sites, offer).mean
    if loss <= lowest.mean:
        return offer.kept()
    return replace(offer.kept(), measure=kept.measure) if loss <= lowest.mean + lowest.standard_error else kept


RULES: Mapping[SelectionName, Rule] = {
    "best": keep_lowest_loss,
    "smoothed": keep_lowest_smoothed_loss,
    "one-se": keep_within_one_standard_error,
    "last": keep_last,
    "mean": keep_mean,
    "ema": keep_exponential_average,
}
"""By `federation.select`."""


def _keep_lowest_mean_loss(kept: KeptModel | None, offer: Offer, width: int) -> KeptModel:
    """Keep the last of the `width` tails in a row whose mean loss is lowest; of equal ones, the latest."""
    if kept is None or not _common(held := offer.scores_until(kept.measure, width)):
        return offer.kept()
    new = offer.scores_until(offer.number, width)
    sites = _common(held) & _common(new)
    return offer.kept() if sites and _mean_loss(new, sites, offer) <= _mean_loss(held, sites, offer) else kept


def _common(scores: Sequence[Scores]) -> frozenset[str]:
    """Return the hospitals that scored all of some tails; none if there is no tail."""
    return frozenset.intersection(*map(frozenset, scores)) if scores else frozenset()


class _Loss(NamedTuple):
    """A mean loss over images, and its standard error."""

    mean: float
    standard_error: float


def _pooled(scores: Scores, sites: Iterable[str], offer: Offer) -> _Loss:
    """Return the loss over the images of some hospitals, at least one, in the order of their names."""
    counts = {name: scores[name] for name in sorted(sites)}
    images = {name: each.images for name, each in counts.items()}
    weights = bounded_weights(images, offer.largest_weight)
    if weights == images:
        pooled = EvaluationCounts.pool(counts.values())
        assert pooled is not None
        return _Loss(pooled.loss, pooled.standard_error)
    # As if such a hospital had fewer images, scored alike.
    mean = sum(weights[name] * each.loss for name, each in counts.items()) / sum(weights.values())
    bins = np.sum([each.images_of_bins * (weights[name] / images[name]) for name, each in counts.items()], axis=0)
    return _Loss(mean, standard_error_of(bins))


def _mean_loss(scores: Sequence[Scores], sites: Iterable[str], offer: Offer) -> float:
    """Return the mean over some tails of the loss over the images of some hospitals."""
    return sum(_pooled(each, sites, offer).mean for each in scores) / len(scores)
