"""What the plots have in common: their width, axes, legend, and names short enough to stand beside them."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 5.0
"""Inches. At most so wide a figure is shown on a phone at about its size, and 10 pt stays readable."""


def plain_axes(figure: Figure, across: str, up: str, grid: bool | str = True) -> Axes:
    """Return the axes of a figure that has one plot; `grid` may be "x" for upright lines only."""
    axes: Axes = figure.add_subplot()
    axes.set(xlabel=across, ylabel=up)
    axes.set_axisbelow(True)
    if grid is True:
        axes.grid(visible=True)
    elif grid == "x":
        axes.grid(visible=True, axis="x")
    return axes


def legend_below(figure: Figure, axes: Axes, columns: int) -> None:
    """Put the legend under the plot, where it hides nothing."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(columns, len(labels)), fontsize=9)


def short(name: str, length: int = 18) -> str:
    """Return a name that fits beside an axis; the tables show it whole."""
    line = " ".join(name.split())
    return line if len(line) <= length else line[: length - 1] + "…"
