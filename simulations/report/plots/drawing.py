"""The way from a drawing to SVG and PNG.

On the page, colours follow the scheme (light, dark, print) and text stays text. Matplotlib knows no CSS, so there every
colour is drawn as a code that stands for a custom property and is replaced in the finished SVG. For a paper, the same
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
from matplotlib.figure import Figure

from simulations.report.plots.palette import CODES, PRINT, Palette

PNG_DPI = 300

# rcParams belong to the whole process.
_style_lock = threading.Lock()


@dataclass(frozen=True)
class Drawing:
    """A figure, and how to draw it.

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
        with _drawn(self, CODES) as figure:
            stream = io.StringIO()
            figure.savefig(stream, format="svg")
        return _inline(stream.getvalue(), self.name, self.title, self.inches[0])

    def files(self) -> dict[str, bytes]:
        """Return stand-alone files by suffix, in print colours on white: `.svg`, and `.png` at `PNG_DPI`."""
        with _drawn(self, PRINT, background=PRINT["page"]) as figure:
            vector, pixels = io.StringIO(), io.BytesIO()
            # Without a date, the same study gives the same bytes.
            figure.savefig(vector, format="svg", metadata={"Date": None})
            # The layout is found already; finding it again would take as long as all the rest.
            figure.set_layout_engine("none")
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
    properties = {code: property_name for property_name, code in CODES.items()}
    body = re.sub(r"#01fe[0-9a-f]{2}", lambda match: f"var(--{properties[match[0]]})", body)
    head = (
        f'<svg viewBox="{view_box[1] if view_box else ""}" role="img" aria-label="{escape(description)}"'
        f' style="max-width: {inches * 1.25:.2f}in">'
    )
    return Markup(head + body)
