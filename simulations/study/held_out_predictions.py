"""Predicts the test images of all sites with a federation's model, in shares that workers compute side by side.

The hospitals' own evaluation has just predicted the same images, but in other batches: the last digits of some
probabilities would differ.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from client.training.site import Site
from common.plan.training_plan import TrainingPlan
from common.training.trainer import average_views
from common.training.workbench import workbench
from simulations.sites.consortium import load_consortium

Batches = Sequence[NDArray[np.float64]]
"""Probabilities (views, images, classes), batch by batch."""


def shares_of_views(plan: TrainingPlan, workers: int) -> list[list[int]]:
    """Deal the views with which a plan tests each image out to workers; none of the shares is empty."""
    views = range(plan.augmentation.tested + 1)
    return [list(views[number::workers]) for number in range(min(workers, len(views)))]


def predict_share(
    plan: TrainingPlan,
    tail: NDArray[np.float32],
    views: Sequence[int],
    layers_of: Callable[[int, Site], NDArray[np.float32] | None],
) -> Batches:
    """Return what a tail predicts of some views of the test images of all hospitals.

    Parameters
    ----------
    plan : TrainingPlan
        Of the federation.
    tail : ndarray of float32, shape (layout.size,)
        The global one.
    views : sequence of int
        As of `Trainer.predict_views`.
    layers_of : callable
        Takes a site's number and the site; returns the layers that it keeps to itself, or None.
    """
    consortium = load_consortium(plan)
    bench = workbench(plan, len(consortium.dataset.classes))
    if not bench.personal.names:
        bench.load(tail)
        return bench.trainer.predict_views(consortium.pooled("test"), views)
    batches: list[NDArray[np.float64]] = []
    for number, site in enumerate(consortium.sites):
        bench.load(tail, layers_of(number, site))
        batches += bench.trainer.predict_views(site.split.test, views)
    return batches


def join_shares(shares: Mapping[tuple[int, ...], Batches]) -> NDArray[np.float64]:
    """Return the probabilities of all test images, shape (images, classes), from all shares by their views."""
    order = np.argsort([view for views in shares for view in views])
    return average_views([np.concatenate(parts)[order] for parts in zip(*shares.values(), strict=True)])
