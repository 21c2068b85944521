"""What the analysis returns, as the JSON values that a file would hold."""

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from common.statistics.bootstrap import Bootstrap
from simulations.analysis import arm_comparison, evaluation
from simulations.analysis import gap_closed as gap_analysis
from simulations.analysis.predictions import Predictions
from tests.simulations.analysis.drawn_predictions import draw_predictions, patients_of


def evaluate(predictions: Predictions, bootstrap: Bootstrap) -> dict[str, Any]:
    return evaluation.evaluate(predictions, bootstrap).to_json()


def metrics_of(predictions: Predictions, bootstrap: Bootstrap | None = None) -> dict[str, Any]:
    return evaluation.metrics_of(predictions, bootstrap).to_json()


def compare(first: Predictions, second: Predictions, bootstrap: Bootstrap, names: tuple[str, str]) -> dict[str, Any]:
    return arm_comparison.compare_predictions(first, second, bootstrap, names).to_json()


def gap_closed(*arms: Predictions, bootstrap: Bootstrap) -> dict[str, Any]:
    return {name: gap.to_json() for name, gap in gap_analysis.gap_closed(*arms, bootstrap).items()}


def drawn(*separations: float, images: int = 60, seed: int = 3, **options: Any) -> list[Predictions]:
    return draw_predictions(
        np.random.default_rng(seed), patients_of(images, images // 10), list(separations), **options
    )


def two(positive: Any) -> NDArray[np.float64]:
    """One set of predictions out of P(class 1)."""
    scores = np.asarray(positive, dtype=np.float64)
    return np.stack([1 - scores, scores], axis=1)[None]


def check_json(found: dict[str, Any]) -> None:
    assert json.loads(json.dumps(found, allow_nan=False)) == found
