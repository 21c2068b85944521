"""The numbers of a study: against scikit-learn and statsmodels, and by how often their intervals hold the truth."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn import metrics as reference
from statsmodels.stats.proportion import proportion_confint

from common.statistics.bootstrap import Bootstrap
from simulations.analysis import arm_comparison, evaluation
from simulations.analysis import gap_closed as gap_analysis
from simulations.analysis.predictions import Predictions
from simulations.analysis.resampling import RESAMPLED_METRICS
from tests.simulations.analysis.drawn_predictions import draw_panels, make_panel, patients_of, true_metrics

RATES = ("accuracy", "sensitivity", "specificity", "precision", "f1")


def evaluate(predictions: Predictions, bootstrap: Bootstrap) -> dict[str, Any]:
    return evaluation.evaluate(predictions, bootstrap).to_json()


def metrics_of(predictions: Predictions, bootstrap: Bootstrap | None = None) -> dict[str, Any]:
    return evaluation.metrics_of(predictions, bootstrap).to_json()


def compare(first: Predictions, second: Predictions, bootstrap: Bootstrap, names: tuple[str, str]) -> dict[str, Any]:
    return arm_comparison.compare_predictions(first, second, bootstrap, names).to_json()


def gap_closed(*arms: Predictions, bootstrap: Bootstrap) -> dict[str, Any]:
    return {name: gap.to_json() for name, gap in gap_analysis.gap_closed(*arms, bootstrap).items()}


def panels(*separations: float, images: int = 60, seed: int = 3, **options: Any) -> list[Predictions]:
    return draw_panels(np.random.default_rng(seed), patients_of(images, images // 10), list(separations), **options)


def two(positive: Any) -> NDArray[np.float64]:
    """One set of predictions out of P(class 1)."""
    scores = np.asarray(positive, dtype=np.float64)
    return np.stack([1 - scores, scores], axis=1)[None]


def check_json(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found, allow_nan=False)) == found


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
    (panel,) = panels(2.0, sets=3)
    found = metrics_of(panel)
    assert "ci95" not in found
    truth = panel.labels
    expected: dict[str, list[float]] = {name: [] for name in (*RATES, "auc")}
    for scores in panel.probabilities:
        guess = scores.argmax(axis=1)
        expected["accuracy"].append(reference.accuracy_score(truth, guess))
        expected["sensitivity"].append(reference.recall_score(truth, guess))
        expected["specificity"].append(reference.recall_score(truth, guess, pos_label=0))
        expected["precision"].append(reference.precision_score(truth, guess))
        expected["f1"].append(reference.f1_score(truth, guess))
        expected["auc"].append(reference.roc_auc_score(truth, scores[:, 1]))
    for name, values in expected.items():
        assert found[name] == pytest.approx(np.mean(values))
    matrices = [reference.confusion_matrix(truth, guess) for guess in panel.predicted]
    np.testing.assert_allclose(found["confusion"], np.mean(matrices, axis=0))
    assert found["correct"] == pytest.approx(found["accuracy"] * 60)
    assert found["total"] == 60


def test_an_arm_has_everything_that_the_summary_says_of_it() -> None:
    (panel,) = panels(2.0, sets=3, folds=3, sites=4)
    found = evaluate(panel, Bootstrap.draw(panel.patients))
    check_json(found)
    check_intervals(found)
    assert [one["accuracy"] for one in found["per_repeat"]] == [
        metrics_of(panel.of_repeat(repeat))["accuracy"] for repeat in range(3)
    ]
    assert found["accuracy"] == pytest.approx(np.mean([one["accuracy"] for one in found["per_repeat"]]))
    assert set(found["per_site"]) == {"site0", "site1", "site2", "site3"}
    for site, one in found["per_site"].items():
        check_intervals(one)
        assert one["total"] == (panel.sites == site).sum()
    assert sum(one["correct"] for one in found["per_site"].values()) == pytest.approx(found["correct"])
    accuracies = {site: one["accuracy"] for site, one in found["per_site"].items()}
    assert found["worst_site"]["accuracy"] == min(accuracies.values()) == accuracies[found["worst_site"]["name"]]
    assert sum(one["images"] for one in found["reliability"]) == pytest.approx(60)


def test_one_split_with_one_image_a_patient_has_wilsons_intervals() -> None:
    (panel,) = draw_panels(np.random.default_rng(1), patients_of(80), [2.0])
    found = metrics_of(panel, Bootstrap.draw(panel.patients))
    (true_negative, false_alarms), (missed, hits) = found["confusion"]
    for name, right, of in [
        ("accuracy", hits + true_negative, 80),
        ("sensitivity", hits, hits + missed),
        ("specificity", true_negative, true_negative + false_alarms),
        ("precision", hits, hits + false_alarms),
    ]:
        assert found["ci95"][name] == pytest.approx(proportion_confint(right, of, method="wilson"))


def test_one_split_with_one_image_a_patient_has_nearly_delongs_interval() -> None:
    (panel,) = draw_panels(np.random.default_rng(1), patients_of(80), [1.5])
    scores = panel.probabilities[0, :, 1]
    concordant = scores[panel.labels == 1][:, None] > scores[panel.labels == 0]
    area = concordant.mean()
    variance = sum(concordant.mean(axis=axis).var(ddof=1) / concordant.shape[1 - axis] for axis in (0, 1))
    half = norm.ppf(0.975) * np.sqrt(variance) / (area * (1 - area))
    found = metrics_of(panel, Bootstrap.draw(panel.patients))
    assert found["auc"] == pytest.approx(area)
    assert logit(found["ci95"]["auc"]) == pytest.approx(logit(area) + np.array([-half, half]), abs=0.1 * half)


def test_the_order_of_the_images_does_not_matter() -> None:
    first, second = panels(2.0, 1.5, sets=2, folds=2)
    order = np.random.default_rng(0).permutation(60)

    def shuffled(panel: Predictions) -> Predictions:
        return Predictions(
            panel.images[order],
            panel.sites[order],
            panel.patients[order],
            panel.labels[order],
            panel.repeats,
            panel.folds[:, order],
            panel.probabilities[:, order],
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
    panel = make_panel(np.array(list("abc"[: len(labels)])), np.array(labels), two(positive))
    found = evaluate(panel, Bootstrap.draw(panel.patients))
    check_json(found)
    check_intervals({**found, "ci95": found["ci95"] | {"ece": [0, 1] if found["ece"] is not None else None}})
    low, high = found["ci95"]["accuracy"]
    assert high - low > 0.5
    check_json(compare(panel, panel, Bootstrap.draw(panel.patients), ("a", "b")))


def test_no_image_is_no_error() -> None:
    panel = make_panel(np.array([], dtype=np.str_), np.array([], dtype=np.int64), np.zeros((1, 0, 2)))
    found = evaluate(panel, Bootstrap.draw(panel.patients))
    check_json(found)
    assert (found["accuracy"], found["auc"], found["worst_site"], found["per_site"]) == (None, None, None, {})
    with pytest.raises(ValueError, match="at least one"):
        compare(panel, panel, Bootstrap.draw(panel.patients), ("a", "b"))


def test_three_classes_have_all_intervals() -> None:
    generator = np.random.default_rng(2)
    labels = generator.choice(3, 120, p=[0.5, 0.35, 0.15])
    logits = generator.normal(size=(2, 120, 3)) + 2 * np.eye(3)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    panel = make_panel(patients_of(120), labels, probabilities)
    found = metrics_of(panel, Bootstrap.draw(panel.patients))
    check_json(found)
    check_intervals(found)
    areas = [reference.roc_auc_score(labels, scores, multi_class="ovr") for scores in probabilities]
    assert found["auc"] == pytest.approx(np.mean(areas))
    other = make_panel(patients_of(120), labels, probabilities[:, ::-1].copy())
    check_json(compare(panel, other, Bootstrap.draw(panel.patients), ("a", "b")))


def test_a_comparison_says_the_same_from_both_sides() -> None:
    first, second = panels(3.0, 1.0, images=120, sets=3, folds=3)
    bootstrap = Bootstrap.draw(first.patients)
    test, turned = (
        compare(first, second, bootstrap, ("federated", "local")),
        compare(second, first, bootstrap, ("local", "federated")),
    )
    check_json(test)
    assert (test["first"], test["second"]) == ("federated", "local")
    for name in ("accuracy", "auc"):
        difference, (low, high) = test[name]["difference"], test[name]["ci95"]
        assert difference == pytest.approx(metrics_of(first)[name] - metrics_of(second)[name])
        assert 0 < low < difference < high
        assert test[name]["p_value"] < 0.001
        assert turned[name]["difference"] == pytest.approx(-difference)
        assert turned[name]["ci95"] == pytest.approx([-high, -low])
        assert turned[name]["p_value"] == pytest.approx(test[name]["p_value"])
    assert [one["repeat"] for one in test["mcnemar"]] == [0, 1, 2] == [one["repeat"] for one in test["delong"]]
    assert test["mcnemar"][0]["total"] == 120


def test_models_of_several_hospitals_are_tested_by_patient_only() -> None:
    (federated,) = panels(3.0, images=120, sets=2)
    (local,) = panels(1.0, images=120, sets=6)
    models = make_panel(federated.patients, federated.labels, local.probabilities, repeats=[0, 0, 0, 1, 1, 1])
    test = compare(federated, models, Bootstrap.draw(federated.patients), ("federated", "local-all"))
    assert (test["mcnemar"], test["delong"]) == ([], [])
    assert test["auc"] is not None


def test_an_arm_against_itself() -> None:
    (panel,) = panels(2.0)
    test = compare(panel, panel, Bootstrap.draw(panel.patients), ("a", "a"))
    for name in ("accuracy", "auc"):
        assert test[name]["difference"] == 0
        assert test[name]["p_value"] == 1
        assert test[name]["ci95"][0] <= 0 <= test[name]["ci95"][1]


def test_two_arms_without_a_mistake_may_still_differ() -> None:
    labels = np.repeat([0, 1], 8)
    panel = make_panel(patients_of(16), labels, two(np.where(labels, 0.9, 0.1)))
    other = make_panel(patients_of(16), labels, two(np.where(labels, 0.7, 0.2)))
    test = compare(panel, other, Bootstrap.draw(panel.patients), ("a", "b"))
    for name in ("accuracy", "auc"):
        low, high = test[name]["ci95"]
        assert low < -0.1 < 0.1 < high
        assert test[name]["p_value"] == 1


def test_other_patients_are_refused() -> None:
    (panel,) = panels(2.0)
    (other,) = panels(2.0, seed=4)
    with pytest.raises(ValueError, match="other patients"):
        metrics_of(panel, Bootstrap.draw(panel.patients[::-1]))
    with pytest.raises(ValueError, match="same images"):
        compare(panel, other, Bootstrap.draw(panel.patients), ("a", "b"))


def test_the_gap_closed() -> None:
    federated, local, centralized = panels(2.6, 0.5, 3.0, images=200, sets=2)
    bootstrap = Bootstrap.draw(federated.patients)
    found = gap_closed(federated, local, centralized, bootstrap=bootstrap)
    check_json(found)
    for name in ("accuracy", "auc"):
        one, start, goal = (metrics_of(panel)[name] for panel in (federated, local, centralized))
        assert found[name]["value"] == pytest.approx((one - start) / (goal - start))
        assert found[name]["ci95"][0] < found[name]["value"] < found[name]["ci95"][1]
        assert found[name]["reason"] is None
    for gap in gap_closed(federated, centralized, centralized, bootstrap=bootstrap).values():
        assert gap["value"] is None
        assert gap["ci95"] is None
        assert "not better" in gap["reason"]


def test_no_interval_for_a_share_of_hardly_anything() -> None:
    federated, local = panels(2.0, 2.0, images=200)
    wrong = np.flatnonzero(local.predicted[0] != local.labels)[:1]
    scores = local.probabilities.copy()
    scores[0, wrong] = scores[0, wrong][:, ::-1]
    hardly_better = make_panel(local.patients, local.labels, scores)
    found = gap_closed(federated, local, hardly_better, bootstrap=Bootstrap.draw(local.patients))["accuracy"]
    assert found["value"] is not None
    assert found["ci95"] is None
    assert "not clearly" in found["reason"]


def test_the_gap_in_auc_needs_two_classes() -> None:
    panel = make_panel(patients_of(3), np.ones(3), two([0.9, 0.8, 0.3]))
    found = gap_closed(panel, panel, panel, bootstrap=Bootstrap.draw(panel.patients))["auc"]
    assert (found["value"], found["reason"]) == (None, "undefined for the tested images")


def coverage(
    patients: NDArray[np.str_], accuracy: float, sets: int, folds: int, trials: int, resamples: int = 500
) -> dict[str, float]:
    """Return how often the interval of each metric holds its true value."""
    separation, generator = float(2 * norm.ppf(accuracy)), np.random.default_rng(17)
    bootstrap, truth = Bootstrap.draw(patients, resamples), true_metrics(separation)
    covered = dict.fromkeys(truth, 0)
    for _ in range(trials):
        (panel,) = draw_panels(generator, patients, [separation], sets, folds)
        limits = metrics_of(panel, bootstrap)["ci95"]
        for name, value in truth.items():
            covered[name] += limits[name] is not None and limits[name][0] <= value <= limits[name][1]
    return {name: count / trials for name, count in covered.items()}


def coverage_of_differences(
    patients: NDArray[np.str_], accuracies: tuple[float, float], sets: int, folds: int, trials: int
) -> dict[str, tuple[float, float]]:
    """Return how often the interval of a difference holds the true one, and how often the test is significant."""
    separations, generator = [float(2 * norm.ppf(one)) for one in accuracies], np.random.default_rng(23)
    bootstrap, truth = Bootstrap.draw(patients, 500), [true_metrics(one) for one in separations]
    counts = {name: np.zeros(2) for name in ("accuracy", "auc")}
    for _ in range(trials):
        first, second = draw_panels(generator, patients, separations, sets, folds)
        test = compare(first, second, bootstrap, ("a", "b"))
        for name, count in counts.items():
            low, high = test[name]["ci95"]
            count += [low <= truth[0][name] - truth[1][name] <= high, test[name]["p_value"] < 0.05]
    return {name: (float(count[0] / trials), float(count[1] / trials)) for name, count in counts.items()}


@pytest.mark.parametrize(("doubles", "sets", "folds"), [(0, 1, 1), (20, 3, 5)], ids=["one split", "clusters, repeats"])
def test_intervals_of_200_images_hold_the_truth(doubles: int, sets: int, folds: int) -> None:
    # Fewer than 180 of 200 intervals would hold the truth once in a thousand times, if each does so in 95 % of draws.
    for name, found in coverage(patients_of(200, doubles), 0.87, sets, folds, trials=200).items():
        assert found >= 0.9, name


def test_intervals_of_differences_hold_the_truth_and_tests_keep_their_level() -> None:
    for name, (covered, significant) in coverage_of_differences(patients_of(200, 20), (0.85, 0.85), 3, 5, 100).items():
        assert covered >= 0.9, name
        assert significant <= 0.11, name


@pytest.mark.slow
@pytest.mark.parametrize("accuracy", [0.75, 0.85, 0.92])
@pytest.mark.parametrize(("doubles", "sets", "folds"), [(0, 1, 1), (20, 1, 1), (20, 3, 5)])
def test_intervals_of_200_images_cover_as_often_as_they_say(
    accuracy: float, doubles: int, sets: int, folds: int
) -> None:
    # 93 to 97 %, and two standard errors of 2,000 trials.
    for name, found in coverage(patients_of(200, doubles), accuracy, sets, folds, trials=2000).items():
        assert 0.92 <= found <= 0.98, name


@pytest.mark.slow
@pytest.mark.parametrize(("images", "doubles"), [(40, 8), (15, 3)])
def test_intervals_of_small_hospitals_do_not_promise_too_much(images: int, doubles: int) -> None:
    for sets in (1, 3):
        for name, found in coverage(patients_of(images, doubles), 0.85, sets, 1, trials=1000).items():
            assert found >= 0.91, (name, sets)


@pytest.mark.slow
@pytest.mark.parametrize("accuracies", [(0.85, 0.85), (0.9, 0.75)])
def test_differences_cover_as_often_as_they_say(accuracies: tuple[float, float]) -> None:
    for name, (covered, significant) in coverage_of_differences(patients_of(200, 20), accuracies, 3, 5, 1000).items():
        assert 0.925 <= covered <= 0.98, name
        assert significant <= 0.07 or accuracies[0] > accuracies[1], name


@pytest.mark.parametrize("sharpness", [1.0, 3.0])
def test_calibration_errors_hold_the_truth(sharpness: float) -> None:
    """Predictions expit(sharpness z) where the truth is expit(z): perfect at 1, too sure of themselves at 3."""
    generator, patients = np.random.default_rng(6), patients_of(200)
    bootstrap = Bootstrap.draw(patients, 400)
    many = 2 * generator.normal(size=300_000)
    bins = np.minimum((expit(sharpness * many) * 10).astype(int), 9)
    gaps = np.bincount(bins, weights=expit(sharpness * many) - expit(many))
    truth, covered = np.abs(gaps).sum() / len(many), 0
    for _ in range(150):
        latent = 2 * generator.normal(size=200)
        labels = (generator.random(200) < expit(latent)).astype(np.int64)
        found = metrics_of(make_panel(patients, labels, two(expit(sharpness * latent))), bootstrap)
        low, high = found["ci95"]["ece"]
        covered += low <= truth + 1e-12 and truth <= high
    assert covered / 150 >= 0.92
