"""The metrics of papers are those of scikit-learn, with intervals that hold them."""

from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from common.statistics.bootstrap import Bootstrap
from common.statistics.intervals import difference_interval, mean_interval
from common.summary.arm import ArmRecord
from simulations.analysis.evaluation import evaluate
from simulations.analysis.predictions import Predictions
from simulations.analysis.published_metrics import published_metric


def drawn(classes: int, images: int = 120) -> Predictions:
    """Draw predictions at three sites; the last has no image of the last class."""
    random = np.random.default_rng(classes)
    sites = np.array(["a", "b", "c"])[np.arange(images) % 3]
    labels = random.integers(0, classes, images)
    labels[(sites == "c") & (labels == classes - 1)] = 0
    scores = random.random((images, classes)) + 0.7 * np.eye(classes)[labels]
    return Predictions(
        images=np.array([f"{number}.png" for number in range(images)]),
        sites=sites,
        patients=np.array([f"p{number}" for number in range(images)]),
        labels=labels,
        repeats=np.zeros(1, np.int64),
        models=np.zeros((1, images), np.int64),
        probabilities=(scores / scores.sum(axis=1, keepdims=True))[None],
    )


def evaluated(predictions: Predictions) -> ArmRecord:
    return evaluate(predictions, Bootstrap.draw(predictions.patients))


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true")
@pytest.mark.parametrize("classes", [3, 8])
def test_balanced_accuracy_is_that_of_scikit_learn(classes: int) -> None:
    predictions = drawn(classes)
    guessed = predictions.predicted[0]
    arm = evaluated(predictions)
    value, around = published_metric(arm, "balanced-accuracy")
    assert value == pytest.approx(balanced_accuracy_score(predictions.labels, guessed))
    assert around is not None
    assert around[0] < value < around[1]
    by_site = [
        balanced_accuracy_score(predictions.labels[predictions.sites == site], guessed[predictions.sites == site])
        for site in "abc"
    ]
    value, around = published_metric(arm, "balanced-accuracy-of-sites")
    assert value == pytest.approx(np.mean(by_site))
    assert around is not None
    assert around[0] < value < around[1]


def test_of_two_classes_it_is_the_mean_of_both_rates() -> None:
    predictions = drawn(2)
    arm = evaluated(predictions)
    value, _ = published_metric(arm, "balanced-accuracy")
    assert value == pytest.approx(balanced_accuracy_score(predictions.labels, predictions.predicted[0]))
    # Site c has no diseased image: its sensitivity is unknown, its specificity is all there is.
    of_sites, _ = published_metric(arm, "balanced-accuracy-of-sites")
    rates = [arm.per_site[site] for site in "abc"]
    assert of_sites == pytest.approx(
        np.mean([np.mean([x for x in (r.sensitivity, r.specificity) if x is not None]) for r in rates])
    )


def test_the_summary_s_own_metrics_are_passed_on() -> None:
    arm = evaluated(drawn(2))
    assert published_metric(arm, "auc") == (arm.auc, arm.ci95["auc"])
    assert published_metric(arm, "accuracy") == (arm.accuracy, arm.ci95["accuracy"])
    assert published_metric(ArmRecord(), "balanced-accuracy") == (None, None)


@pytest.mark.parametrize("limits", [[(0.5, 0.9), (0.2, 0.4)], [(0.8, 0.8), (0.1, 0.5)]])
def test_the_interval_of_a_mean_is_half_that_of_a_difference(limits: Sequence[tuple[float, float]]) -> None:
    values = [0.8, 0.3]
    mirrored = (-limits[1][1], -limits[1][0])
    low, high = difference_interval(values[0], limits[0], -values[1], mirrored, 0.0)
    assert mean_interval(values, limits) == pytest.approx((low / 2, high / 2))
    assert mean_interval([0.4], [(0.3, 0.6)]) == pytest.approx((0.3, 0.6))
