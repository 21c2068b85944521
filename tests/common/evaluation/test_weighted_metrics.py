"""Metrics at many weightings of the images, against scikit-learn."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as reference

from common.evaluation import roc
from common.evaluation.metrics import rates, rates_of_confusions, weighted_confusions
from common.evaluation.weighted_auc import weighted_auc

Problem = tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]


def draw(seed: int, images: int, classes: int, folds: int, decimals: int | None) -> Problem:
    """Labels, probabilities (with ties when rounded), folds, and three weightings by whole numbers."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, images)
    logits = generator.normal(size=(images, classes)) + 1.2 * np.eye(classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if decimals is not None:
        probabilities = probabilities.round(decimals)
    weights = generator.integers(0, 4, (3, images)).astype(np.float64)
    return labels, probabilities, generator.integers(0, folds, images), weights


problems = st.builds(
    draw,
    seed=st.integers(0, 10_000),
    images=st.integers(0, 50),
    classes=st.integers(2, 4),
    folds=st.integers(1, 4),
    decimals=st.sampled_from([None, 1]),
)


@given(problems)
@settings(max_examples=80, deadline=None)
def test_weighted_rates_agree_with_scikit_learn(problem: Problem) -> None:
    labels, probabilities, _, weights = problem
    classes, predicted = probabilities.shape[1], probabilities.argmax(axis=1)
    confusions = weighted_confusions(labels, predicted, classes, weights)
    found = rates_of_confusions(confusions)
    for row, weight in enumerate(weights):
        if weight.sum() == 0:
            assert all(np.isnan(values[row]) for values in found.values())
            continue
        kept = weight > 0
        truth, guess, weight = labels[kept], predicted[kept], weight[kept]
        expected = reference.confusion_matrix(truth, guess, labels=range(classes), sample_weight=weight)
        np.testing.assert_array_equal(confusions[row], expected)
        assert found["accuracy"][row] == pytest.approx(reference.accuracy_score(truth, guess, sample_weight=weight))
        named = [1] if classes == 2 else np.unique(truth)
        precision, sensitivity, f1, _ = reference.precision_recall_fscore_support(
            truth, guess, labels=named, average="macro", sample_weight=weight, zero_division=0
        )
        mine = [np.nan_to_num(found[name][row]) for name in ("precision", "sensitivity", "f1")]
        assert mine == pytest.approx([precision, sensitivity, f1])
        if classes == 2 and (truth == 0).any():
            specificity = reference.recall_score(truth, guess, pos_label=0, sample_weight=weight)
            assert found["specificity"][row] == pytest.approx(specificity)


@given(problems)
@settings(max_examples=80, deadline=None)
def test_weights_of_one_give_the_rates_of_a_confusion_matrix(problem: Problem) -> None:
    labels, probabilities, _, _ = problem
    confusions = weighted_confusions(
        labels, probabilities.argmax(axis=1), probabilities.shape[1], np.ones((1, labels.size))
    )
    expected = rates(confusions[0].astype(int))
    for name, values in rates_of_confusions(confusions).items():
        value = getattr(expected, name)
        assert np.isnan(values[0]) if value is None else values[0] == value


@given(problems)
@settings(max_examples=80, deadline=None)
def test_the_weighted_auc_is_the_mean_of_the_folds_by_pairs(problem: Problem) -> None:
    labels, probabilities, folds, weights = problem
    classes = probabilities.shape[1]
    found = weighted_auc(labels, probabilities, folds, weights)
    for row, weight in enumerate(weights):
        areas = []
        for index in [1] if classes == 2 else range(classes):
            parts = []
            for fold in np.unique(folds):
                chosen = (folds == fold) & (weight > 0)
                own = labels[chosen] == index
                pairs = weight[chosen][own].sum() * weight[chosen][~own].sum()
                if pairs:
                    score = probabilities[chosen, index]
                    parts.append((pairs, reference.roc_auc_score(own, score, sample_weight=weight[chosen])))
            if parts:
                areas.append(sum(pairs * area for pairs, area in parts) / sum(pairs for pairs, _ in parts))
        if areas:
            assert found[row] == pytest.approx(np.mean(areas))
        else:
            assert np.isnan(found[row])


@given(problems, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_one_fold_gives_the_plain_auc_in_whatever_order(problem: Problem, random: Any) -> None:
    labels, probabilities, _, _ = problem
    order = list(range(labels.size))
    random.shuffle(order)
    one_fold, ones = np.zeros(labels.size, dtype=np.int64), np.ones((1, labels.size))
    found = weighted_auc(labels, probabilities, one_fold, ones)[0]
    expected = roc.auc(labels, probabilities)
    assert np.isnan(found) if expected is None else found == pytest.approx(expected)
    shuffled = weighted_auc(labels[order], probabilities[order], one_fold, ones)[0]
    assert np.isnan(found) if np.isnan(shuffled) else found == pytest.approx(shuffled)


def test_scores_of_different_folds_are_never_ranked_against_each_other() -> None:
    labels, probabilities, folds, weights = draw(3, 40, 2, 3, None)
    shifted = probabilities.copy()
    shifted[folds == 1, 1] += 5
    np.testing.assert_array_equal(
        weighted_auc(labels, probabilities, folds, weights), weighted_auc(labels, shifted, folds, weights)
    )
    # Each fold with one class only: there is nothing to rank.
    assert np.isnan(weighted_auc(labels, probabilities, labels, weights)).all()
