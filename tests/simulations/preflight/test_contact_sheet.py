"""The page with the images: whole, escaped, small, the same each time, and shown by a browser."""

import base64
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from simulations.preflight import thumbnails
from simulations.preflight.contact_sheet import write_contact_sheet
from simulations.preflight.inspection import inspect_plan

NASTY = "<img src=x onerror=alert(1)>&\"'.png"


def images(root: Path, each: int, side: int = 40) -> Path:
    for index, label in enumerate(("healthy", "sick")):
        (root / label).mkdir(parents=True)
        for number in range(each):
            pixels = np.random.default_rng(1000 * index + number).integers(0, 255, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / label / f"{number:03d}.png")
    return root


def page_of(data: Path, target: Path, **changes: Scalar) -> str:
    flat = {key.replace("__", "."): value for key, value in changes.items()}
    plan = TrainingPlan.from_flat({"data.path": str(data), "data.size": 64, "study.sites": 2} | flat)
    found = inspect_plan(plan)
    assert found.consortium is not None
    return write_contact_sheet(found, found.consortium, plan, target).read_text()


@pytest.fixture
def nasty(tmp_path: Path) -> Path:
    data = images(tmp_path / "data", 10)
    (data / "sick" / "003.png").rename(data / "sick" / NASTY)
    return data


def test_every_image_is_there_as_the_network_sees_it(nasty: Path, tmp_path: Path) -> None:
    page = page_of(nasty, tmp_path / "page.html")
    pictures = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert len(pictures) == 20
    assert {Image.open(io.BytesIO(base64.b64decode(each))).size for each in pictures} == {(64, 64)}
    assert "healthy/009.png" in page


def test_where_crops_are_cut_from_more_pixels_it_says_so_and_shows_what_is_left_of_them(
    nasty: Path, tmp_path: Path
) -> None:
    usual, larger = (
        page_of(nasty, tmp_path / "usual.html", augmentation__read_scale=1),
        page_of(nasty, tmp_path / "larger.html", augmentation__read_scale=90 / 64),
    )
    shown = [re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page) for page in (usual, larger)]
    assert all(first != second for first, second in zip(*shown, strict=True))
    assert {Image.open(io.BytesIO(base64.b64decode(each))).size for each in shown[1]} == {(64, 64)}
    assert "crops are cut from 90 × 90" in larger
    assert "crops are cut" not in usual


def test_what_the_noise_filter_chose_is_said(nasty: Path, tmp_path: Path) -> None:
    plan = TrainingPlan.from_flat({"data.path": str(nasty), "data.denoise": "auto", "study.sites": 2})
    found = inspect_plan(plan)
    assert found.consortium is not None
    page = write_contact_sheet(found, found.consortium, plan, tmp_path / "page.html").read_text()
    assert "none for all 20 images, which are coloured" in page
    assert "filter: median for grey images" in page


def test_families_on_their_own_sides_see_those(nasty: Path, tmp_path: Path) -> None:
    models = "efficientnet_lite1,efficientnet_lite0"
    flat: dict[str, Scalar] = {"study__own_size": True, "study__models": models, "model__weights": "none"}
    page = page_of(nasty, tmp_path / "page.html", **flat, augmentation__read_scale=1.5)
    assert "as the network sees them (224 × 224 to 240 × 240 pixels" in page
    assert "crops are cut from 336 × 336 to 360 × 360" in page
    (first, *_) = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page)
    assert Image.open(io.BytesIO(base64.b64decode(first))).size == (112, 112)  # as much as a page shows


def test_names_are_escaped_and_nothing_is_fetched(nasty: Path, tmp_path: Path) -> None:
    page = page_of(nasty, tmp_path / "page.html")
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "http" not in re.sub(r'<meta http-equiv|base64,[^"]+', "", page)
    assert "<script" not in page


def test_of_many_images_a_fixed_sample_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "_MOST", 12)
    data = images(tmp_path / "data", 10)
    page = page_of(data, tmp_path / "one.html")
    shown, again = (
        re.findall("<figure>.*?</figure>", each, re.S) for each in (page, page_of(data, tmp_path / "2.html"))
    )
    assert len(shown) == 12
    assert "6 of 10 images" in page
    # Not the whole page, which says how much room the disk has at the moment.
    assert again == shown


def test_the_largest_page_is_small_enough_to_mail(tmp_path: Path) -> None:
    # Noise is what JPEG shrinks least.
    page_of(images(tmp_path / "data", 130), tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 3_000_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """The system's Chromium, without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine: nothing can show the page")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--disable-quic", "--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_all_of_it_without_complaint(
    chromium: Any, nasty: Path, tmp_path: Path, width: int, scheme: str
) -> None:
    page_of(nasty, tmp_path / "page.html")
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, is_mobile=width < 600)
    page = context.new_page()
    heard: list[str] = []
    page.on("request", lambda request: heard.append(request.url) if not request.url.startswith("data:") else None)
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    address = (tmp_path / "page.html").as_uri()
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") == width, "the page scrolls sideways"
    assert page.evaluate("[...document.images].filter(image => image.naturalWidth == 64).length") == 20
    assert page.evaluate("document.images.length") == 20
    assert NASTY in page.inner_text("main")
    assert (page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 31, 36)") == (scheme == "light")
    assert heard == [address]
    context.close()
