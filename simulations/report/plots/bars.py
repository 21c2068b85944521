"""Figures of bars: accuracy by site or by variant, and what a site's images are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from simulations.report.plots.axes import WIDTH, legend_below, plain_axes, short
from simulations.report.plots.drawing import Drawing
from simulations.report.plots.palette import PARTS, Palette

_TALLEST = 20.0


@dataclass(frozen=True)
class Bars:
    """One arm's accuracy by row: value and 95 % interval, each in [0, 1]; a row without test images is missing."""

    key: str
    label: str
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def draw_accuracy(
    name: str, title: str, caption: str, rows: Sequence[tuple[str, str]], bars: Sequence[Bars]
) -> Drawing:
    """Draw accuracies with 95 % intervals, one bar per arm in every row; rows come as (key, label)."""
    height = 0.8 / max(len(bars), 1)
    inches = min(1.1 + 0.17 * ((len(bars) + 1) // 2) + len(rows) * (0.17 * len(bars) + 0.12), _TALLEST)

    def draw(figure: Figure, palette: Palette) -> None:
        axes = plain_axes(figure, "Accuracy (%)", "", grid="x")
        for place, bar in enumerate(bars):
            colour = palette[bar.key]
            shown = [row for row, (key, _) in enumerate(rows) if key in bar.values]
            values = np.array([100 * bar.values[rows[row][0]] for row in shown])
            y = np.array(shown) - 0.4 + height * (place + 0.5)
            axes.barh(y, values, height * 0.86, color=colour, alpha=0.55, linewidth=0, label=bar.label)
            for row, centre in zip(shown, y, strict=True):
                limits = bar.intervals.get(rows[row][0])
                if limits is not None:
                    axes.plot([100 * limit for limit in limits], [centre] * 2, color=colour, linewidth=1.4)
        axes.set_yticks(range(len(rows)), [label for _, label in rows])
        axes.set(xlim=(0, 101), ylim=(len(rows) - 0.5, -0.5))
        axes.tick_params(axis="y", length=0)
        legend_below(figure, axes, columns=2)

    return Drawing(name, title, caption, (WIDTH, inches), draw)


def draw_composition(name: str, title: str, sites: Sequence[str], parts: Mapping[str, Sequence[int]]) -> Drawing:
    """Draw images per site as stacked bars; `parts` holds one count per site for each part."""

    def draw(figure: Figure, palette: Palette) -> None:
        axes = plain_axes(figure, "Images", "", grid="x")
        start = np.zeros(len(sites))
        widest = max(float(np.sum([list(counts) for counts in parts.values()], axis=0).max(initial=0)), 1.0)
        for number, (part, counts) in enumerate(parts.items()):
            colour = palette[PARTS[number % len(PARTS)]]
            axes.barh(
                range(len(sites)), counts, 0.68, left=start, color=colour, alpha=0.6, linewidth=0, label=short(part)
            )
            for row, images in enumerate(counts):
                if images > 0.05 * widest:
                    axes.text(start[row] + images / 2, row, str(images), ha="center", va="center", fontsize=9)
            start = start + np.asarray(counts)
        axes.set_yticks(range(len(sites)), [short(site) for site in sites])
        axes.set(xlim=(0, 1.02 * widest), ylim=(len(sites) - 0.5, -0.5))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.tick_params(axis="y", length=0)
        legend_below(figure, axes, columns=3)

    inches = min(1.2 + 0.34 * len(sites), _TALLEST)
    return Drawing(f"composition-{name}", title, "", (WIDTH, inches), draw)
