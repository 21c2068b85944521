"""The report's figures as inline SVG: colours follow the page (light, dark, print), text stays text.

Matplotlib knows no CSS, so every colour is drawn as a code that stands for a custom property of the page and is
replaced in the finished SVG. Figures are at most `WIDTH` inches wide, so that a phone shows them at about their size
and 10 pt stays readable.
"""

import io
import re
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from common.metrics import RocCurve

WIDTH = 5.0

# Colour codes that no palette uses, and the CSS property that replaces each.
_INK, _MUTED, _GRID = "#01fe01", "#01fe02", "#01fe03"
_SERIES = {"centralized": "#02fe01", "federated": "#02fe02", "local": "#02fe03", "local-all": "#02fe04"}
_PARTS = [f"#03fe0{number}" for number in range(1, 7)]
_PROPERTIES = {_INK: "ink", _MUTED: "muted", _GRID: "grid"}
_PROPERTIES |= {code: name for name, code in _SERIES.items()}
_PROPERTIES |= {code: f"part-{number}" for number, code in enumerate(_PARTS, 1)}

# Lines differ in dash as well as in colour: for print in grey and for colour-blind readers.
_DASHES = {"centralized": (0, (6, 2)), "federated": "-", "local": (0, (4, 1.5, 1, 1.5)), "local-all": (0, (1, 1.5))}

# The keys' type is a long list of literals that changes with matplotlib's version.
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "rarefed",
    "text.parse_math": False,  # a `$` in a hospital's name is a dollar
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _INK,
    "axes.titlecolor": _INK,
    "text.color": _INK,
    "xtick.color": _MUTED,
    "ytick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}
# rcParams belong to the whole process.
_style_lock = threading.Lock()


@dataclass(frozen=True)
class Line:
    """One arm's learning curve.

    Attributes
    ----------
    key, label : str
        The arm's key (its colour) and its name in the legend.
    points : list of (float, float)
        Share of the training budget in [0, 1], and the value.
    selected : float or None
        The share at which the model that was kept was taken.
    """

    key: str
    label: str
    points: list[tuple[float, float]]
    selected: float | None = None


@dataclass(frozen=True)
class Bars:
    """One arm's accuracy by site: value and 95 % interval, each in [0, 1]; a site without test images is missing."""

    key: str
    label: str
    values: Mapping[str, float]
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def draw_roc(curves: Sequence[tuple[str, str, RocCurve]]) -> Markup:
    """Draw ROC curves; each comes as (key, label, curve)."""
    with _figure("roc", "ROC curves", (WIDTH, 4.6)) as sheet:
        axes = _axes(sheet, "False positive rate (1 − specificity)", "True positive rate (sensitivity)")
        axes.plot([0, 1], [0, 1], color=_MUTED, linewidth=0.8, linestyle=(0, (2, 3)))
        for key, label, curve in curves:
            x, y = curve.false_positive_rate, curve.true_positive_rate
            axes.plot(x, y, color=_SERIES[key], linestyle=_DASHES[key], label=label)
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        axes.legend(loc="lower right", fontsize=9)
    return sheet.svg


def draw_confusion(key: str, title: str, matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Markup:
    """Draw one confusion matrix: counts, shaded by their share of the true class."""
    counts = np.asarray(matrix, dtype=np.int64)
    size = len(counts)
    side = max(2.6, 0.62 * size + 1.3)
    with _figure(f"confusion-{key}", f"Confusion matrix: {title}", (side, side)) as sheet:
        axes = _axes(sheet, "Predicted", "True", grid=False)
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        for row, column in np.ndindex(size, size):
            # Ink over a half-transparent tint is readable in both schemes, whatever the share.
            axes.fill(
                [column - 0.48, column + 0.48, column + 0.48, column - 0.48],
                [row - 0.48, row - 0.48, row + 0.48, row + 0.48],
                color=_SERIES[key],
                alpha=0.06 + 0.44 * float(shares[row, column]),
                linewidth=0,
            )
            axes.text(column, row - 0.07, str(counts[row, column]), ha="center", va="center", fontsize=13)
            axes.text(column, row + 0.27, f"{100 * shares[row, column]:.0f} %", ha="center", va="center", fontsize=8)
        names = [_short(name, 12) for name in classes]
        if size == 2:
            axes.set_xticks(range(size), names)
            axes.set_yticks(range(size), names, rotation=90, va="center")
        else:  # narrow cells: names side by side would run into each other
            axes.set_xticks(range(size), names, rotation=35, ha="right", rotation_mode="anchor")
            axes.set_yticks(range(size), names)
        axes.set(xlim=(-0.5, size - 0.5), ylim=(size - 0.5, -0.5), aspect="equal")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return sheet.svg


def draw_learning(name: str, quantity: str, lines: Sequence[Line]) -> Markup:
    """Draw learning curves over the share of the training budget; a dot marks the model that was kept."""
    with _figure(f"learning-{name}", f"{quantity} during training", (WIDTH, 3.3)) as sheet:
        axes = _axes(sheet, "Share of the training budget (%)", quantity)
        for line in lines:
            x, y = np.array(line.points, dtype=np.float64).reshape(-1, 2).T
            axes.plot(100 * x, y, color=_SERIES[line.key], linestyle=_DASHES[line.key], label=line.label)
            if line.selected is not None and x.size:
                kept = int(np.abs(x - line.selected).argmin())
                axes.plot(100 * x[kept], y[kept], "o", color=_SERIES[line.key], markersize=6)
        axes.set_xlim(0, 102)
        _legend_below(sheet, axes, columns=3)
    return sheet.svg


def draw_site_accuracy(sites: Sequence[tuple[str, int]], bars: Sequence[Bars]) -> Markup:
    """Draw the accuracy at every site, per arm, with 95 % intervals; sites come as (name, test images)."""
    height = 0.8 / max(len(bars), 1)
    inches = 1.1 + len(sites) * (0.17 * len(bars) + 0.12)
    with _figure("site-accuracy", "Accuracy by site", (WIDTH, inches)) as sheet:
        axes = _axes(sheet, "Accuracy on the site's test patients (%)", "", grid="x")
        for place, bar in enumerate(bars):
            rows = [row for row, (name, _) in enumerate(sites) if name in bar.values]
            values = np.array([100 * bar.values[sites[row][0]] for row in rows])
            y = np.array(rows) - 0.4 + height * (place + 0.5)
            axes.barh(y, values, height * 0.86, color=_SERIES[bar.key], alpha=0.55, linewidth=0, label=bar.label)
            for row, centre in zip(rows, y, strict=True):
                limits = bar.intervals.get(sites[row][0])
                if limits is not None:
                    axes.plot([100 * limit for limit in limits], [centre] * 2, color=_SERIES[bar.key], linewidth=1.4)
        labels = [f"{_short(name, 16)} ({images})" for name, images in sites]
        axes.set_yticks(range(len(sites)), labels)
        axes.set(xlim=(0, 101), ylim=(len(sites) - 0.5, -0.5))
        axes.tick_params(axis="y", length=0)
        _legend_below(sheet, axes, columns=2)
    return sheet.svg


def draw_composition(name: str, title: str, sites: Sequence[str], parts: Mapping[str, Sequence[int]]) -> Markup:
    """Draw images per site as stacked bars; `parts` holds one count per site for each part."""
    with _figure(f"composition-{name}", title, (WIDTH, 1.2 + 0.34 * len(sites))) as sheet:
        axes = _axes(sheet, "Images", "", grid="x")
        start = np.zeros(len(sites))
        widest = max(float(np.sum([list(counts) for counts in parts.values()], axis=0).max(initial=0)), 1.0)
        for number, (part, counts) in enumerate(parts.items()):
            colour = _PARTS[number % len(_PARTS)]
            axes.barh(
                range(len(sites)), counts, 0.68, left=start, color=colour, alpha=0.6, linewidth=0, label=_short(part)
            )
            for row, images in enumerate(counts):
                if images > 0.05 * widest:
                    axes.text(start[row] + images / 2, row, str(images), ha="center", va="center", fontsize=9)
            start = start + np.asarray(counts)
        axes.set_yticks(range(len(sites)), [_short(site) for site in sites])
        axes.set(xlim=(0, 1.02 * widest), ylim=(len(sites) - 0.5, -0.5))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.tick_params(axis="y", length=0)
        _legend_below(sheet, axes, columns=3)
    return sheet.svg


@dataclass
class _Sheet:
    """A figure while it is drawn, and its SVG afterwards."""

    figure: Figure
    svg: Markup = field(default_factory=Markup)


@contextmanager
def _figure(name: str, description: str, inches: tuple[float, float]) -> Iterator[_Sheet]:
    """Set the style, hand out a figure, and leave its SVG in the sheet; `name` is unique on the page."""
    with _style_lock, matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # Only measuring suffers from a glyph that matplotlib's font lacks: the browser draws the text in its own.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*missing")
        sheet = _Sheet(Figure(figsize=inches, layout="constrained"))
        yield sheet
        stream = io.StringIO()
        sheet.figure.savefig(stream, format="svg")
        sheet.svg = _inline(stream.getvalue(), name, description, inches[0])


def _inline(document: str, name: str, description: str, inches: float) -> Markup:
    """Turn a stand-alone SVG document into an element of the page that refers to nothing outside itself."""
    view_box = re.search(r'viewBox="([\d. ]+)"', document)
    body = document[document.index(">", document.index("<svg")) + 1 :]
    for noise in (r"<metadata>.*?</metadata>", r"<!--.*?-->", r"<style.*?</style>"):
        body = re.sub(noise, "", body, flags=re.DOTALL)
    # Several figures share one page, and so one space of ids.
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", body)
    for code, property_name in _PROPERTIES.items():
        body = body.replace(code, f"var(--{property_name})")
    head = (
        f'<svg viewBox="{view_box[1] if view_box else ""}" role="img" aria-label="{escape(description)}"'
        f' style="max-width: {inches * 1.25:.2f}in">'
    )
    return Markup(head + body)


def _axes(sheet: _Sheet, across: str, up: str, grid: bool | str = True) -> Axes:
    axes: Axes = sheet.figure.add_subplot()
    axes.set(xlabel=across, ylabel=up)
    axes.set_axisbelow(True)
    if grid is True:
        axes.grid(visible=True)
    elif grid == "x":
        axes.grid(visible=True, axis="x")
    return axes


def _legend_below(sheet: _Sheet, axes: Axes, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        sheet.figure.legend(handles, labels, loc="outside lower center", ncols=min(columns, len(labels)), fontsize=9)


def _short(name: str, length: int = 18) -> str:
    """Return a name that fits beside an axis; the tables show it whole."""
    line = " ".join(name.split())
    return line if len(line) <= length else line[: length - 1] + "…"
