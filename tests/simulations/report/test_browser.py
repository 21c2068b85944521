"""The report in a real browser, in the sizes of a phone and of a desk, by day and by night."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulations.report.html import write_report
from simulations.report.run_comparison import write_comparison
from tests.simulations.report.cases import SWEEP
from tests.simulations.report.invented_runs import write_run


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The system's Chromium, without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine: nothing can show the page")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--disable-quic"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The report of a sweep, and a comparison of two runs."""
    run, other = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("other")
    write_run(run, **SWEEP | {"folds": 5, "repeats": 2, "synthetic": True})
    write_run(other, rounds=12)
    return write_report(run), write_comparison([run, other], run / "compared.html")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(390, 844), (1280, 900)])
def test_a_browser_shows_the_pages_without_complaint(
    chromium: Any, pages: tuple[Path, Path], width: int, height: int, scheme: str
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, is_mobile=width < 600
    )
    page = context.new_page()
    requests: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for path in pages:
        page.goto(path.as_uri())
        assert page.evaluate("innerWidth") == width
        assert page.evaluate("document.documentElement.scrollWidth") == width, "the page scrolls sideways"
        for selector in ("figure", "p", "li", ".strip"):
            overflow = f"[...document.querySelectorAll('{selector}')].filter(e => e.scrollWidth > innerWidth)"
            assert page.evaluate(f"{overflow}.length") == 0
    page.goto(pages[0].as_uri())
    # The whole verdict is on the first screen.
    assert page.evaluate("document.querySelector('.gap').getBoundingClientRect().bottom") < height
    colour = page.evaluate("getComputedStyle(document.body).color")
    assert (colour == "rgb(27, 31, 36)") == (scheme == "light")
    assert complaints == []
    assert set(requests) == {path.as_uri() for path in pages}
    context.close()
