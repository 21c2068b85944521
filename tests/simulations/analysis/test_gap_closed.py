"""How much of the gap is closed, and when that cannot be said."""

import numpy as np
import pytest

from common.statistics.bootstrap import Bootstrap
from tests.simulations.analysis.as_json import check_json, drawn, gap_closed, metrics_of, two
from tests.simulations.analysis.drawn_predictions import make_predictions, patients_of


def test_the_gap_closed() -> None:
    federated, local, centralized = drawn(2.6, 0.5, 3.0, images=200, sets=2)
    bootstrap = Bootstrap.draw(federated.patients)
    found = gap_closed(federated, local, centralized, bootstrap=bootstrap)
    check_json(found)
    for name in ("accuracy", "auc"):
        one, start, goal = (metrics_of(predictions)[name] for predictions in (federated, local, centralized))
        assert found[name]["value"] == pytest.approx((one - start) / (goal - start))
        assert found[name]["ci95"][0] < found[name]["value"] < found[name]["ci95"][1]
        assert found[name]["reason"] is None
    for gap in gap_closed(federated, centralized, centralized, bootstrap=bootstrap).values():
        assert gap["value"] is None
        assert gap["ci95"] is None
        assert "not better" in gap["reason"]


def test_no_interval_for_a_share_of_hardly_anything() -> None:
    federated, local = drawn(2.0, 2.0, images=200)
    wrong = np.flatnonzero(local.predicted[0] != local.labels)[:1]
    scores = local.probabilities.copy()
    scores[0, wrong] = scores[0, wrong][:, ::-1]
    hardly_better = make_predictions(local.patients, local.labels, scores)
    found = gap_closed(federated, local, hardly_better, bootstrap=Bootstrap.draw(local.patients))["accuracy"]
    assert found["value"] is not None
    assert found["ci95"] is None
    assert "not clearly" in found["reason"]


def test_the_gap_in_auc_needs_two_classes() -> None:
    predictions = make_predictions(patients_of(3), np.ones(3), two([0.9, 0.8, 0.3]))
    found = gap_closed(predictions, predictions, predictions, bootstrap=Bootstrap.draw(predictions.patients))["auc"]
    assert (found["value"], found["reason"]) == (None, "undefined for the tested images")
