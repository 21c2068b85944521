"""Differences between arms against zero."""

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from simulations.report.plots.axes import WIDTH, plain_axes
from simulations.report.plots.drawing import Drawing
from simulations.report.plots.palette import Palette
from simulations.study.arms import ARMS


@dataclass(frozen=True)
class Contrast:
    """Two arms' difference, first minus second, and its 95 % interval; `key` names the second arm's colour."""

    key: str
    label: str
    difference: float
    limits: tuple[float, float] | None


def draw_differences(name: str, title: str, quantity: str, caption: str, contrasts: Sequence[Contrast]) -> Drawing:
    """Draw differences with their intervals, one below the other."""

    def draw(figure: Figure, palette: Palette) -> None:
        axes = plain_axes(figure, quantity, "", grid="x")
        axes.axvline(0, color=palette["ink"], linewidth=1)
        for row, one in enumerate(contrasts):
            colour = palette[one.key]
            if one.limits is not None:
                axes.plot(one.limits, [row, row], color=colour, linewidth=2, solid_capstyle="butt")
            axes.plot(one.difference, row, ARMS[one.key].marker, color=colour, markersize=7)
        axes.set_yticks(range(len(contrasts)), [one.label for one in contrasts])
        axes.set_ylim(len(contrasts) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.margins(x=0.08)

    return Drawing(name, title, caption, (WIDTH, 0.9 + 0.5 * len(contrasts)), draw)
