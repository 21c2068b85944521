"""The band around a ROC curve."""

import numpy as np
import pytest

from common.evaluation.roc import roc_curve
from simulations.analysis.predictions import Predictions
from simulations.analysis.resampling import resample
from simulations.analysis.roc_bands import mean_curve, roc_band


def test_a_band_surrounds_its_curve_and_narrows_with_more_patients() -> None:
    generator = np.random.default_rng(3)

    def predictions(images: int) -> Predictions:
        labels = generator.integers(0, 2, images)
        scores = (1 / (1 + np.exp(-generator.normal(1.5 * (2 * labels - 1), 1.5)))).round(3)
        names = np.array([str(index) for index in range(images)])
        zeros = np.zeros((1, images), dtype=np.int64)
        both = np.stack([1 - scores, scores], axis=1)[None]
        return Predictions(names, names, names, labels, np.zeros(1, dtype=np.int64), zeros, both)

    widths = []
    for images in (60, 600):
        drawn = predictions(images)
        grid, low, high = roc_band(drawn)
        curve = roc_curve(drawn.labels, drawn.probabilities[0])
        assert curve is not None
        height = np.interp(grid[1:-1], curve.false_positive_rate, curve.true_positive_rate)
        assert ((low[1:-1] <= height + 0.02) & (height <= high[1:-1] + 0.02)).all()
        widths.append(float((high - low).mean()))
        assert (roc_band(drawn)[1] == low).all()
    assert widths[1] < widths[0] / 2


def test_the_area_below_the_mean_curve_is_the_auc_of_the_summary() -> None:
    # Three repeats, whose folds have other numbers of pairs: a repeat counts once, however many pairs it ranks.
    generator = np.random.default_rng(4)
    labels = generator.integers(0, 2, 24)
    scores = generator.random((3, 24))
    names = np.array([str(index) for index in range(24)])
    models = generator.integers(0, 3, (3, 24)) + np.array([[0], [3], [6]])
    both = np.stack([1 - scores, scores], axis=2)
    drawn = Predictions(names, names, names, labels, np.arange(3), models, both)
    curve = mean_curve(drawn)
    assert curve is not None
    area = float(np.trapezoid(curve.true_positive_rate, curve.false_positive_rate))
    assert area == pytest.approx(resample(drawn, None).estimate("auc"), abs=1e-12)
