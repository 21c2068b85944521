"""The metrics of an arm, against scikit-learn and statsmodels."""

from typing import Any

import numpy as np
import pytest
from scipy.special import logit
from scipy.stats import norm
from sklearn import metrics as reference
from statsmodels.stats.proportion import proportion_confint

from common.statistics.bootstrap import Bootstrap
from simulations.analysis.predictions import Predictions
from simulations.analysis.resampling import RESAMPLED_METRICS
from tests.simulations.analysis.as_json import check_json, compare, drawn, evaluate, metrics_of, two
from tests.simulations.analysis.drawn_predictions import draw_predictions, make_predictions, patients_of

RATES = ("accuracy", "sensitivity", "specificity", "precision", "f1")


def check_intervals(found: dict[str, Any]) -> None:
    assert set(found["ci95"]) == set(RESAMPLED_METRICS)
    for name, limits in found["ci95"].items():
        if found[name] is None:
            assert limits is None
        else:
            low, high = limits
            assert 0 <= low <= found[name] <= high <= 1
            assert high > low


def test_metrics_are_the_mean_of_scikit_learns_over_the_sets() -> None:
    (predictions,) = drawn(2.0, sets=3)
    found = metrics_of(predictions)
    assert "ci95" not in found
    truth = predictions.labels
    expected: dict[str, list[float]] = {name: [] for name in (*RATES, "auc")}
    for scores in predictions.probabilities:
        guess = scores.argmax(axis=1)
        expected["accuracy"].append(reference.accuracy_score(truth, guess))
        expected["sensitivity"].append(reference.recall_score(truth, guess))
        expected["specificity"].append(reference.recall_score(truth, guess, pos_label=0))
        expected["precision"].append(reference.precision_score(truth, guess))
        expected["f1"].append(reference.f1_score(truth, guess))
        expected["auc"].append(reference.roc_auc_score(truth, scores[:, 1]))
    for name, values in expected.items():
        assert found[name] == pytest.approx(np.mean(values))
    matrices = [reference.confusion_matrix(truth, guess) for guess in predictions.predicted]
    np.testing.assert_allclose(found["confusion"], np.mean(matrices, axis=0))
    assert found["correct"] == pytest.approx(found["accuracy"] * 60)
    assert found["total"] == 60


def test_an_arm_has_everything_that_the_summary_says_of_it() -> None:
    (predictions,) = drawn(2.0, sets=3, folds=3, sites=4)
    found = evaluate(predictions, Bootstrap.draw(predictions.patients))
    check_json(found)
    check_intervals(found)
    assert [one["accuracy"] for one in found["per_repeat"]] == [
        metrics_of(predictions.of_repeat(repeat))["accuracy"] for repeat in range(3)
    ]
    assert found["accuracy"] == pytest.approx(np.mean([one["accuracy"] for one in found["per_repeat"]]))
    assert set(found["per_site"]) == {"site0", "site1", "site2", "site3"}
    for site, one in found["per_site"].items():
        check_intervals(one)
        assert one["total"] == (predictions.sites == site).sum()
    assert sum(one["correct"] for one in found["per_site"].values()) == pytest.approx(found["correct"])
    accuracies = {site: one["accuracy"] for site, one in found["per_site"].items()}
    assert found["worst_site"]["accuracy"] == min(accuracies.values()) == accuracies[found["worst_site"]["name"]]
    assert sum(one["images"] for one in found["reliability"]) == pytest.approx(60)


def test_one_split_with_one_image_a_patient_has_wilsons_intervals() -> None:
    (predictions,) = draw_predictions(np.random.default_rng(1), patients_of(80), [2.0])
    found = metrics_of(predictions, Bootstrap.draw(predictions.patients))
    (true_negative, false_alarms), (missed, hits) = found["confusion"]
    for name, right, of in [
        ("accuracy", hits + true_negative, 80),
        ("sensitivity", hits, hits + missed),
        ("specificity", true_negative, true_negative + false_alarms),
        ("precision", hits, hits + false_alarms),
    ]:
        assert found["ci95"][name] == pytest.approx(proportion_confint(right, of, method="wilson"))


def test_one_split_with_one_image_a_patient_has_nearly_delongs_interval() -> None:
    (predictions,) = draw_predictions(np.random.default_rng(1), patients_of(80), [1.5])
    scores = predictions.probabilities[0, :, 1]
    concordant = scores[predictions.labels == 1][:, None] > scores[predictions.labels == 0]
    area = concordant.mean()
    variance = sum(concordant.mean(axis=axis).var(ddof=1) / concordant.shape[1 - axis] for axis in (0, 1))
    half = norm.ppf(0.975) * np.sqrt(variance) / (area * (1 - area))
    found = metrics_of(predictions, Bootstrap.draw(predictions.patients))
    assert found["auc"] == pytest.approx(area)
    assert logit(found["ci95"]["auc"]) == pytest.approx(logit(area) + np.array([-half, half]), abs=0.1 * half)


def test_the_order_of_the_images_does_not_matter() -> None:
    first, second = drawn(2.0, 1.5, sets=2, folds=2)
    order = np.random.default_rng(0).permutation(60)

    def shuffled(predictions: Predictions) -> Predictions:
        return Predictions(
            predictions.images[order],
            predictions.sites[order],
            predictions.patients[order],
            predictions.labels[order],
            predictions.repeats,
            predictions.models[:, order],
            predictions.probabilities[:, order],
        )

    results = []
    for one, other in ((first, second), (shuffled(first), shuffled(second))):
        bootstrap = Bootstrap.draw(one.patients)
        metrics, test = metrics_of(one, bootstrap), compare(one, other, bootstrap, ("a", "b"))
        limits = [value for pair in metrics["ci95"].values() for value in pair]
        results.append([*limits, *test["accuracy"]["ci95"], *test["auc"]["ci95"], test["auc"]["p_value"]])
    assert results[0] == pytest.approx(results[1])


@pytest.mark.parametrize(
    ("labels", "positive"),
    [([1], [0.9]), ([0, 1], [0.2, 0.6]), ([0, 0, 0], [0.1, 0.2, 0.9]), ([0, 1, 1], [0.5, 0.5, 0.5])],
    ids=["one image", "two perfect", "one class", "constant"],
)
def test_a_tiny_hospital_gets_wide_intervals_and_no_nan(labels: list[int], positive: list[float]) -> None:
    predictions = make_predictions(np.array(list("abc"[: len(labels)])), np.array(labels), two(positive))
    found = evaluate(predictions, Bootstrap.draw(predictions.patients))
    check_json(found)
    check_intervals({**found, "ci95": found["ci95"] | {"ece": [0, 1] if found["ece"] is not None else None}})
    low, high = found["ci95"]["accuracy"]
    assert high - low > 0.5
    check_json(compare(predictions, predictions, Bootstrap.draw(predictions.patients), ("a", "b")))


def test_no_image_is_no_error() -> None:
    predictions = make_predictions(np.array([], dtype=np.str_), np.array([], dtype=np.int64), np.zeros((1, 0, 2)))
    found = evaluate(predictions, Bootstrap.draw(predictions.patients))
    check_json(found)
    assert (found["accuracy"], found["auc"], found["worst_site"], found["per_site"]) == (None, None, None, {})
    with pytest.raises(ValueError, match="at least one"):
        compare(predictions, predictions, Bootstrap.draw(predictions.patients), ("a", "b"))


def test_three_classes_have_all_intervals() -> None:
    generator = np.random.default_rng(2)
    labels = generator.choice(3, 120, p=[0.5, 0.35, 0.15])
    logits = generator.normal(size=(2, 120, 3)) + 2 * np.eye(3)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    predictions = make_predictions(patients_of(120), labels, probabilities)
    found = metrics_of(predictions, Bootstrap.draw(predictions.patients))
    check_json(found)
    check_intervals(found)
    areas = [reference.roc_auc_score(labels, scores, multi_class="ovr") for scores in probabilities]
    assert found["auc"] == pytest.approx(np.mean(areas))
    other = make_predictions(patients_of(120), labels, probabilities[:, ::-1].copy())
    check_json(compare(predictions, other, Bootstrap.draw(predictions.patients), ("a", "b")))
