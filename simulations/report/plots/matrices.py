"""Confusion matrices."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from simulations.report.formatting import count
from simulations.report.plots.axes import plain_axes, short
from simulations.report.plots.drawing import Drawing
from simulations.report.plots.palette import Palette


def draw_confusion(key: str, title: str, matrix: Sequence[Sequence[float]], classes: Sequence[str]) -> Drawing:
    """Draw one confusion matrix: mean counts, shaded by their share of the true class."""
    counts = np.asarray(matrix, dtype=np.float64)
    size = len(counts)
    side = max(2.6, 0.62 * size + 1.3)

    def draw(figure: Figure, palette: Palette) -> None:
        axes = plain_axes(figure, "Predicted", "True", grid=False)
        totals = counts.sum(axis=1, keepdims=True)
        shares = counts / np.where(totals > 0, totals, 1)
        for row, column in np.ndindex(size, size):
            # Ink over a half-transparent tint is readable in both schemes, whatever the share.
            axes.fill(
                [column - 0.48, column + 0.48, column + 0.48, column - 0.48],
                [row - 0.48, row - 0.48, row + 0.48, row + 0.48],
                color=palette[key],
                alpha=0.06 + 0.44 * float(shares[row, column]),
                linewidth=0,
            )
            large = 13 if size < 4 else 10
            axes.text(column, row - 0.07, count(float(counts[row, column])), ha="center", va="center", fontsize=large)
            axes.text(column, row + 0.27, f"{100 * shares[row, column]:.0f} %", ha="center", va="center", fontsize=8)
        names = [short(name, 12) for name in classes]
        if size == 2:
            axes.set_xticks(range(size), names)
            axes.set_yticks(range(size), names, rotation=90, va="center")
        else:  # narrow cells: names side by side would run into each other
            axes.set_xticks(range(size), names, rotation=35, ha="right", rotation_mode="anchor")
            axes.set_yticks(range(size), names)
        axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), aspect="equal")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    return Drawing(f"confusion-{key}", title, "", (side, side), draw)
