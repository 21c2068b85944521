"""Two arms on the same patients: their difference, its interval and its tests."""

import numpy as np
import pytest

from common.statistics.bootstrap import Bootstrap
from tests.simulations.analysis.as_json import check_json, compare, drawn, metrics_of, two
from tests.simulations.analysis.drawn_predictions import make_predictions, patients_of


def test_a_comparison_says_the_same_from_both_sides() -> None:
    first, second = drawn(3.0, 1.0, images=120, sets=3, folds=3)
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
    (federated,) = drawn(3.0, images=120, sets=2)
    (local,) = drawn(1.0, images=120, sets=6)
    models = make_predictions(federated.patients, federated.labels, local.probabilities, repeats=[0, 0, 0, 1, 1, 1])
    test = compare(federated, models, Bootstrap.draw(federated.patients), ("federated", "local-all"))
    assert (test["mcnemar"], test["delong"]) == ([], [])
    assert test["auc"] is not None


def test_an_arm_against_itself() -> None:
    (predictions,) = drawn(2.0)
    test = compare(predictions, predictions, Bootstrap.draw(predictions.patients), ("a", "a"))
    for name in ("accuracy", "auc"):
        assert test[name]["difference"] == 0
        assert test[name]["p_value"] == 1
        assert test[name]["ci95"][0] <= 0 <= test[name]["ci95"][1]


def test_two_arms_without_a_mistake_may_still_differ() -> None:
    labels = np.repeat([0, 1], 8)
    predictions = make_predictions(patients_of(16), labels, two(np.where(labels, 0.9, 0.1)))
    other = make_predictions(patients_of(16), labels, two(np.where(labels, 0.7, 0.2)))
    test = compare(predictions, other, Bootstrap.draw(predictions.patients), ("a", "b"))
    for name in ("accuracy", "auc"):
        low, high = test[name]["ci95"]
        assert low < -0.1 < 0.1 < high
        assert test[name]["p_value"] == 1


def test_other_patients_are_refused() -> None:
    (predictions,) = drawn(2.0)
    (other,) = drawn(2.0, seed=4)
    with pytest.raises(ValueError, match="other patients"):
        metrics_of(predictions, Bootstrap.draw(predictions.patients[::-1]))
    with pytest.raises(ValueError, match="same images"):
        compare(predictions, other, Bootstrap.draw(predictions.patients), ("a", "b"))
