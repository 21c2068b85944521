"""What of a score may leave: no bin of a few images, no class of a few, no more digits than a count of images earns.

A histogram of a hospital's few validation images is nearly the list of their scores: with a thousand bins each holds
one image. Here neighbouring bins are merged until each holds as many images as the hospital's rule demands. A merged
group stands at its mean, where an image that was misread no longer shows: the area under the ROC curve would grow. So
the groups of the two sides are moved towards each other until that area is about what it was. Few groups have few
areas: the AUC itself leaves beside them, as a number of three digits.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from client.rules.hospital_file import RulesSection
from common.evaluation.evaluation_counts import EvaluationCounts
from common.evaluation.ranked_pairs import RankedPairs
from common.evaluation.roc import binned_roc
from common.evaluation.score_histogram import ScoreHistogram

_DIGITS = 3

_Counts = NDArray[np.int64]


class _Group(NamedTuple):
    place: float  # mean of its images, in bins
    images: int


def few_digits(value: float) -> float:
    """Return a loss with as many digits as leave."""
    return float(f"{value:.{_DIGITS}g}")


def releasable(score: EvaluationCounts, rules: RulesSection) -> EvaluationCounts | None:
    """Return a score as coarse as the rules demand; None if it is over too few images.

    It is over too few where any class has fewer than `rules.suppress_below`, unless it has none. `local_site` scores no
    such class; leaving it out here alone would tell its number, as the difference to the images of the split.

    Parameters
    ----------
    score : EvaluationCounts
        As it was computed, with as many bins as the plan asks for.
    rules : RulesSection
        `suppress_below`, `score_bins`.

    Returns
    -------
    EvaluationCounts or None
        With as many bins as before, of which those are filled at which merged groups stand.
    """
    of_class = score.confusion.sum(axis=1)
    least = rules.suppress_below
    if score.images < least or ((of_class > 0) & (of_class < least)).any():
        return None
    return EvaluationCounts(
        loss=few_digits(score.loss),
        confusion=score.confusion,
        histogram=_merged(score.histogram, max(1, least), rules.score_bins),
        ranking=RankedPairs.from_areas([round(area, _DIGITS) for area in score.ranking.areas()], of_class),
    )


def _merged(histogram: ScoreHistogram, least: int, finest: int) -> ScoreHistogram:
    counts = histogram.counts
    bins = counts.shape[2]
    edges = np.unique(np.linspace(0, bins, min(finest, bins) + 1).round().astype(int))
    merged = np.stack([_merge_sides(others, own, edges, least) for others, own in counts])
    if len(counts) == 2:
        # Of two classes one score says all. Merged by itself, the other's mirror image would tell where borders lie.
        merged[0] = merged[1, ::-1, ::-1]
    return ScoreHistogram(merged)


def _merge_sides(others: _Counts, own: _Counts, edges: _Counts, least: int) -> _Counts:
    """Return both sides of one class's score, merged, with as much area under the ROC curve as there was."""
    low, high = _groups(others, edges, least), _groups(own, edges, least)
    bins, area = len(own), _area(others, own)

    def moved(by: int) -> _Counts:
        return np.stack([_placed(low, by, edges, bins), _placed(high, -by, edges, bins)])

    if area is None:
        return moved(0)
    step = bins / (len(edges) - 1)
    shifts = [round(step * each / 2) for each in range(-len(edges) + 1, len(edges))]
    # Rounded: two areas that differ by the order of a sum alone are one.
    return moved(min(shifts, key=lambda by: (round(abs((_area(*moved(by)) or 0.0) - area), 9), abs(by))))


def _groups(counts: _Counts, edges: _Counts, least: int) -> list[_Group]:
    """Merge bins, from the lowest on, until each group holds `least` images; the last takes what is left."""
    groups: list[_Counts] = []  # places of images, in finest bins
    held = np.empty(0, np.int64)
    for start, end in pairwise(edges):
        held = np.concatenate([held, np.repeat(np.arange(start, end), counts[start:end])])
        if len(held) >= least:
            groups.append(held)
            held = np.empty(0, np.int64)
    if len(held):
        groups.append(np.concatenate([groups.pop(), held]) if groups else held)
    return [_Group(float(group.mean()), len(group)) for group in groups]


def _placed(groups: Sequence[_Group], by: int, edges: _Counts, bins: int) -> _Counts:
    """Count groups in the middle of the coarse bins in which they stand after a move."""
    counts = np.zeros(bins, np.int64)
    for group in groups:
        place = np.searchsorted(edges, np.clip(group.place + by, 0, bins - 1), side="right") - 1
        counts[(edges[place] + edges[place + 1] - 1) // 2] += group.images
    return counts


def _area(others: _Counts, own: _Counts) -> float | None:
    return binned_roc(others, own).area() if others.any() and own.any() else None
