"""Score histograms of hospitals add up, and their AUC is near the exact one."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from common.evaluation import roc
from common.evaluation.score_histogram import ScoreHistogram
from tests.common.evaluation.drawn_scores import draw, problems


@given(problems, st.integers(1, 80), st.integers(0, 60))
@settings(max_examples=80, deadline=None)
def test_histograms_of_sites_add_up_to_the_exact_auc_within_their_bound(
    problem: tuple[NDArray[Any], NDArray[Any]], bins: int, cut: int
) -> None:
    labels, probabilities = problem
    classes = probabilities.shape[1]
    sites = [
        ScoreHistogram.from_scores(labels[part], probabilities[part], bins)
        for part in (slice(None, cut), slice(cut, None))
    ]
    travelled = [ScoreHistogram.from_list(json.loads(json.dumps(site.to_list())), classes) for site in sites]
    whole = travelled[0] + travelled[1]
    np.testing.assert_array_equal(whole.counts, ScoreHistogram.from_scores(labels, probabilities, bins).counts)
    exact, binned = roc.auc(labels, probabilities), whole.auc()
    if exact is None:
        assert binned is None
        assert whole.roc() is None
    else:
        assert binned is not None
        assert abs(binned - exact) <= half_the_share_of_pairs_in_one_bin(whole) + 1e-12


def half_the_share_of_pairs_in_one_bin(histogram: ScoreHistogram) -> float:
    shares = []
    for others, own in histogram.counts[1:] if len(histogram.counts) == 2 else histogram.counts:
        if others.any() and own.any():
            shares.append((others / others.sum() * (own / own.sum())).sum())
    return float(np.mean(shares)) / 2


def test_a_pair_that_shares_a_bin_counts_one_half() -> None:
    labels = np.array([0, 0, 1, 1])
    positive = np.array([0.1, 0.6, 0.7, 0.9])  # two bins: pairs (.6, .7) and (.6, .9) share one, of four
    histogram = ScoreHistogram.from_scores(labels, np.stack([1 - positive, positive], axis=1), 2)
    assert histogram.auc() == pytest.approx(0.75)
    assert half_the_share_of_pairs_in_one_bin(histogram) == pytest.approx(2 / 4 / 2)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [1, 2, 3],
        [1, 0, 0, -1],
        [1, 0, 0, 2],
        [1, 0, 1, 0],
        [1.0, 0, 0, 1],
        [True, 0, 0, 1],
        [2**63, 0, 0, 2**63],
        [2**31, 0, 0, 2**31],
    ],
)
def test_a_list_that_is_no_histogram_is_refused(values: list[Any]) -> None:
    with pytest.raises(ValueError):
        ScoreHistogram.from_list(values, 2)


def test_histograms_of_different_shapes_do_not_add_up() -> None:
    labels, probabilities = draw(0, 10, 2)
    with pytest.raises(ValueError, match="do not add up"):
        ScoreHistogram.from_scores(labels, probabilities, 5) + ScoreHistogram.from_scores(labels, probabilities, 6)
