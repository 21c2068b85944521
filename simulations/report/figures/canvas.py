"""What all figures share: colours, dashes, style, and the way from a drawing to SVG and PNG.

On the page, colours follow the scheme (light, dark, print) and text stays text. Matplotlib knows no CSS, so there every
colour is drawn as a code that stands for a custom property and is replaced in the finished SVG. Figures are at most
`WIDTH` inches wide, so that a phone shows them at about their size and 10 pt stays readable. For a paper, the same
drawing is made in print colours on white.
"""

import io
import re
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 5.0
PNG_DPI = 300

_SURFACE = ("page", "panel", "ink", "muted", "grid", "warn", "warn-line")
_ARMS = ("centralized", "federated", "local", "local-all", "probe", "scratch")
PARTS = tuple(f"part-{number}" for number in range(1, 7))
_NAMES = (*_SURFACE, *_ARMS, *PARTS)

Palette = dict[str, str]


def _palette(text: str) -> Palette:
    return dict(zip(_NAMES, (f"#{code}" for code in text.split()), strict=True))


LIGHT = _palette(
    "ffffff f6f7f9 1b1f24 5c6570 dfe3e8 fff3d6 c98a00  0b62a8 c2470a 0a7d5c 7a5ca8 a17c00 4d5560"
    "  6f819a d3a633 3f9ea3 c46f8d 8c9c4f a57f60"
)
DARK = _palette(
    "14171b 1d2126 e8eaed a3acb7 343b44 3a2f12 e0b040  6bb4f0 ff9a5c 58cfa6 bda2ec e8cd55 c3cad3"
    "  8296b3 d9ae42 4bb0b5 d583a1 a2b261 b8926f"
)
PRINT = LIGHT | {"panel": "#ffffff", "ink": "#000000", "muted": "#444444", "grid": "#cccccc", "warn": "#ffffff"}
PRINT |= {"warn-line": "#000000"}

# Colour codes that no palette uses; each is replaced by a custom property of the page.
_CODES: Palette = {name: f"#01fe{number:02x}" for number, name in enumerate(_NAMES, 1)}

# Lines differ in dash as well as in colour: for print in grey and for colour-blind readers.
DASHES: dict[str, Any] = {
    "centralized": (0, (6, 2)),
    "federated": "-",
    "local": (0, (4, 1.5, 1, 1.5)),
    "local-all": (0, (1, 1.5)),
    "probe": (0, (2.5, 1.5)),
    "scratch": (0, (7, 1.5, 1, 1.5, 1, 1.5)),
}
MARKERS = {"centralized": "s", "federated": "o", "local": "^", "local-all": "v", "probe": "D", "scratch": "X"}

# rcParams belong to the whole process.
_style_lock = threading.Lock()


@dataclass(frozen=True)
class Drawing:
    """A figure that is yet to be drawn.

    Attributes
    ----------
    name : str
        Unique on the page; the name of its files.
    title : str
        What it shows; also what a screen reader says.
    caption : str
        What a reader must know to read it, or "".
    inches : (float, float)
        Width and height.
    draw : callable
        Draws on a figure with a palette's colours.
    """

    name: str
    title: str
    caption: str
    inches: tuple[float, float]
    draw: Callable[[Figure, Palette], None]

    def inline(self) -> Markup:
        """Return an SVG element for the page, which refers to nothing outside itself."""
        with _drawn(self, _CODES) as figure:
            stream = io.StringIO()
            figure.savefig(stream, format="svg")
        return _inline(stream.getvalue(), self.name, self.title, self.inches[0])

    def files(self) -> dict[str, bytes]:
        """Return stand-alone files by suffix, in print colours on white: `.svg`, and `.png` at `PNG_DPI`."""
        with _drawn(self, PRINT, background=PRINT["page"]) as figure:
            vector, pixels = io.StringIO(), io.BytesIO()
            # Without a date, the same study gives the same bytes.
            figure.savefig(vector, format="svg", metadata={"Date": None})
            figure.set_layout_engine("none")  # found already; finding it again takes as long as all the rest
            figure.savefig(pixels, format="png", dpi=PNG_DPI, metadata={"Software": None})
        return {".svg": vector.getvalue().encode(), ".png": pixels.getvalue()}


@contextmanager
def _drawn(drawing: Drawing, palette: Palette, background: str = "none") -> Iterator[Figure]:
    with _style_lock, matplotlib.rc_context(_style(palette, background)), warnings.catch_warnings():
        # Only measuring suffers from a glyph that matplotlib's font lacks: SVG text is drawn in the reader's own font.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph.*missing")
        figure = Figure(figsize=drawing.inches, layout="constrained")
        drawing.draw(figure, palette)
        yield figure


def _style(palette: Palette, background: str) -> Any:
    """Return the style; the keys' type is a long list of literals that changes with matplotlib's version."""
    ink, muted = palette["ink"], palette["muted"]
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "rarefed",
        "text.parse_math": False,  # a `$` in a hospital's name is a dollar
        "font.size": 10,
        "axes.titlesize": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": muted,
        "axes.labelcolor": ink,
        "axes.titlecolor": ink,
        "text.color": ink,
        "xtick.color": muted,
        "ytick.color": muted,
        "xtick.labelcolor": ink,
        "ytick.labelcolor": ink,
        "grid.color": palette["grid"],
        "grid.linewidth": 0.7,
        "legend.frameon": False,
        "lines.linewidth": 1.8,
        "figure.facecolor": background,
        "axes.facecolor": "none",
        "savefig.facecolor": background,
    }


def _inline(document: str, name: str, description: str, inches: float) -> Markup:
    """Turn a stand-alone SVG document into an element of the page."""
    view_box = re.search(r'viewBox="([\d. ]+)"', document)
    body = document[document.index(">", document.index("<svg")) + 1 :]
    for noise in (r"<metadata>.*?</metadata>", r"<!--.*?-->", r"<style.*?</style>"):
        body = re.sub(noise, "", body, flags=re.DOTALL)
    # Several figures share one page, and so one space of ids.
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", body)
    properties = {code: property_name for property_name, code in _CODES.items()}
    body = re.sub(r"#01fe[0-9a-f]{2}", lambda match: f"var(--{properties[match[0]]})", body)
    head = (
        f'<svg viewBox="{view_box[1] if view_box else ""}" role="img" aria-label="{escape(description)}"'
        f' style="max-width: {inches * 1.25:.2f}in">'
    )
    return Markup(head + body)


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
