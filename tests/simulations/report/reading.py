"""How the tests read pages and terminals."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from rich.console import Console

from common.summary.summary_file import read_summary
from simulations.analysis.predictions_csv import read_predictions
from simulations.report.figures.study_figures import draw_study_figures
from simulations.report.html import render_report
from simulations.report.terminal import TABLE_WIDTH

VOID = {"meta", "br", "hr", "img", "link", "input", "wbr"}


class Page(HTMLParser):
    """Reads a page, and complains about a tag that is not closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"an event handler: {name}"
            if name == "id":
                self.ids.append(value or "")
            if name in ("src", "href", "xlink:href"):
                self.targets.append(value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def draw(run: Path) -> tuple[str, Page]:
    """Return the page without the files beside it, which take longer than the page."""
    summary = read_summary(run)
    content = render_report(summary, draw_study_figures(summary, read_predictions(run, summary.dataset.classes)))
    return content, Page(content)


def printed(renderable: Any) -> str:
    console = Console(width=TABLE_WIDTH, force_terminal=False)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()


def shown(count: float) -> str:
    """Return a mean count as the report shows it."""
    return f"{count:.1f}".removesuffix(".0")
