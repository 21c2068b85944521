"""Runs paired where they tested the same images."""

from typing import Any

import pytest

from common.summary.comparison import PairedTestRecord
from simulations.analysis.predictions import Predictions
from simulations.report.run_comparison import compare_runs
from simulations.report.tables import paired_runs
from tests.simulations.report.cases import RunFactory, against
from tests.simulations.report.reading import printed


def test_runs_are_paired_where_they_tested_the_same_images(
    make_run: RunFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, same, other = make_run(), make_run(seed=5, repeats=2), make_run(truth_seed=9)
    seen: list[tuple[int, int]] = []

    def compare(first: Predictions, second: Predictions, *rest: Any) -> PairedTestRecord:
        assert (first.images == second.images).all()
        assert (first.labels == second.labels).all()
        seen.append((len(first.repeats), len(second.repeats)))
        return PairedTestRecord(**against("centralized", 0.01, 0.02, 0.4)["federated-centralized"])

    monkeypatch.setattr(paired_runs, "compare_predictions", compare)
    text = printed(compare_runs([one, same, other]))
    assert "A minus B, on the same images" in text
    assert "A minus C" not in text
    assert seen == [(1, 2), (1, 2), (1, 2), (4, 8)]
