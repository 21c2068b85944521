"""Figures of lines: ROC, learning, reliability."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from common.evaluation.roc import RocCurve
from common.summary.arm import ReliabilityBinRecord
from simulations.report.plots.axes import WIDTH, legend_below, plain_axes
from simulations.report.plots.drawing import Drawing
from simulations.report.plots.palette import Palette
from simulations.study.arms import ARMS


@dataclass(frozen=True)
class RocBand:
    """One arm's ROC curve, and its pointwise 95 % interval.

    Attributes
    ----------
    key, label : str
        The arm's key (its colour) and its name in the legend.
    curve : RocCurve
    grid, low, high : ndarray of float64, shape (points,)
        False positive rates, and the limits of the true positive rate there.
    """

    key: str
    label: str
    curve: RocCurve
    grid: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One arm's learning curve.

    Attributes
    ----------
    key, label : str
        The arm's key (its colour) and its name in the legend.
    points : list of (float, float)
        Share of the training budget in [0, 1], and the value.
    spread : list of (float, float, float)
        Share of the budget, and the limits around the value; may be empty.
    selected : float or None
        The share at which the selected model was taken.
    """

    key: str
    label: str
    points: list[tuple[float, float]]
    spread: list[tuple[float, float, float]]
    selected: float | None = None


def draw_roc(bands: Sequence[RocBand], caption: str) -> Drawing:
    """Draw ROC curves over their bands."""

    def draw(figure: Figure, palette: Palette) -> None:
        axes = plain_axes(figure, "False positive rate (1 − specificity)", "True positive rate (sensitivity)")
        axes.plot([0, 1], [0, 1], color=palette["muted"], linewidth=0.8, linestyle=(0, (2, 3)))
        for band in bands:
            colour = palette[band.key]
            axes.fill_between(band.grid, band.low, band.high, color=colour, alpha=0.13, linewidth=0)
        for band in bands:
            x, y = band.curve.false_positive_rate, band.curve.true_positive_rate
            axes.plot(x, y, color=palette[band.key], linestyle=ARMS[band.key].dash, label=band.label)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        legend_below(figure, axes, columns=2)

    return Drawing("roc", "ROC curves", caption, (WIDTH, 5.0 + 0.18 * ((len(bands) + 1) // 2)), draw)


def draw_learning(name: str, quantity: str, caption: str, lines: Sequence[Line]) -> Drawing:
    """Draw learning curves over the share of the training budget; a dot marks the model that was selected."""

    def draw(figure: Figure, palette: Palette) -> None:
        axes = plain_axes(figure, "Share of the training budget (%)", quantity)
        for line in lines:
            colour = palette[line.key]
            if line.spread:
                x, low, high = np.array(line.spread, dtype=np.float64).T
                axes.fill_between(100 * x, low, high, color=colour, alpha=0.13, linewidth=0)
            x, y = np.array(line.points, dtype=np.float64).reshape(-1, 2).T
            axes.plot(100 * x, y, color=colour, linestyle=ARMS[line.key].dash, label=line.label)
            if line.selected is not None and x.size:
                value = float(np.interp(line.selected, x, y))
                axes.plot(100 * line.selected, value, "o", color=colour, markersize=6)
        axes.set_xlim(0, 102)
        legend_below(figure, axes, columns=3)

    return Drawing(f"learning-{name}", f"{quantity} during training", caption, (WIDTH, 3.4), draw)


def draw_reliability(key: str, title: str, bins: Sequence[ReliabilityBinRecord]) -> Drawing:
    """Draw the share that came true over the predicted probability; the area of a dot is the number of its images."""

    def draw(figure: Figure, palette: Palette) -> None:
        axes = plain_axes(figure, "Predicted", "Observed")
        axes.plot([0, 1], [0, 1], color=palette["muted"], linewidth=0.8, linestyle=(0, (2, 3)))
        x, y, images = np.array([(one.predicted, one.observed, one.images) for one in bins]).T
        axes.plot(x, y, color=palette[key], linestyle=ARMS[key].dash, linewidth=1.2)
        axes.scatter(x, y, s=10 + 150 * images / max(images.sum(), 1), color=palette[key], alpha=0.75, linewidth=0)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_yticks([0, 0.5, 1], ["0", "0.5", "1"])

    return Drawing(f"reliability-{key}", title, "", (2.8, 2.8), draw)
