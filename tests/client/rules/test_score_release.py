"""How coarse a score is before it leaves, and what that costs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.rules.score_release import releasable
from common.evaluation.evaluation_counts import EvaluationCounts
from common.evaluation.metrics import confusion_matrix
from common.evaluation.ranked_pairs import RankedPairs
from common.evaluation.score_histogram import ScoreHistogram
from tests.client.hospital import rules


def score(labels: list[int], probabilities: np.ndarray, bins: int = 1000) -> EvaluationCounts:
    predicted = probabilities.argmax(axis=1)
    confusion = confusion_matrix(np.array(labels), predicted, probabilities.shape[1])
    return EvaluationCounts(
        0.123456,
        confusion,
        ScoreHistogram.from_scores(labels, probabilities, bins),
        RankedPairs.from_scores(labels, probabilities),
    )


def drawn(labels: list[int], classes: int, seed: int) -> EvaluationCounts:
    return score(labels, np.random.default_rng(seed).dirichlet(np.ones(classes), size=len(labels)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 2), min_size=9, max_size=60),
    st.integers(2, 6),
    st.integers(2, 20),
    st.integers(0, 2**32 - 1),
)
def test_no_bin_and_no_class_is_of_few_images(labels: list[int], least: int, finest: int, seed: int) -> None:
    exact = drawn(labels, 3, seed)
    told = releasable(exact, rules(suppress_below=least, least_images=least, score_bins=finest))
    of_class = np.bincount(labels, minlength=3)
    if ((of_class > 0) & (of_class < least)).any():
        assert told is None
        return
    assert told is not None
    counts = told.histogram.counts
    others = counts.sum(axis=2)
    assert (others == exact.histogram.counts.sum(axis=2)).all()
    for sides, totals in zip(counts, others, strict=True):
        for side, total in zip(sides, totals, strict=True):
            assert ((side == 0) | (side >= min(least, total))).all()
            assert (side > 0).sum() <= finest
    assert told.loss == 0.123


def test_the_two_sides_of_one_score_tell_the_same() -> None:
    told = releasable(drawn([0, 1] * 20, 2, seed=3), rules())
    assert told is not None
    assert (told.histogram.counts[0] == told.histogram.counts[1, ::-1, ::-1]).all()


@pytest.mark.parametrize("seed", range(5))
def test_hospitals_together_keep_their_auc(seed: int) -> None:
    rng = np.random.default_rng(seed)
    exact, told = [], []
    for images in (8, 14, 15, 60):
        labels = [each % 2 for each in range(images)]
        positive = 1 / (1 + np.exp(-rng.normal(3 * (np.array(labels) - 0.5), 1)))
        exact.append(score(labels, np.stack([1 - positive, positive], axis=1)))
        coarse = releasable(exact[-1], rules())
        assert coarse is not None
        told.append(coarse)
    true, seen = EvaluationCounts.pool(exact), EvaluationCounts.pool(told)
    assert true is not None
    assert seen is not None
    assert seen.histogram.auc() == pytest.approx(true.histogram.auc(), abs=0.02)


def test_hospitals_of_a_dozen_images_tell_their_auc_though_no_bin_can() -> None:
    rng = np.random.default_rng(1)
    true, told, binned = [], [], []
    for _ in range(30):
        labels = [each % 2 for each in range(14)]
        positive = 1 / (1 + np.exp(-rng.normal(1.8 * (np.array(labels) - 0.5), 1)))
        exact = score(labels, np.stack([1 - positive, positive], axis=1))
        coarse = releasable(exact, rules())
        assert coarse is not None
        true.append(exact.ranking.auc() or 0.0)
        told.append(coarse.ranking.auc() or 0.0)
        binned.append(coarse.histogram.auc() or 0.0)
    assert told == pytest.approx(true, abs=5e-4)
    assert np.abs(np.subtract(binned, true)).mean() > 0.02  # why it is told
