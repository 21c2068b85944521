"""Each fault planted among sound images is found, and sound images are left in peace."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from client.preflight.checks import IMAGE_CHECKS, check_images
from client.preflight.findings import Finding, Status
from tests.client.hospital import rules, write_hospital
from tests.client.preflight.pictures import picture
from tests.places import SHARED

Rows = list[tuple[str, str, str]]


def write(folder: Path, images: int = 12) -> Rows:
    """Write sound images of two classes, a patient each; return the rows of their manifest."""
    rows = []
    for number in range(images):
        name = f"{number:03d}.png"
        save(folder / name, picture(number))
        rows.append((name, ("healthy", "sick")[number % 2], f"p{number}"))
    return rows


def save(path: Path, pixels: NDArray[np.uint8], **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)


def check(folder: Path, rows: Rows, **changes: Any) -> dict[str, Finding]:
    with (folder / "manifest.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("path", "label", "patient"), *rows])
    return judge(folder, **changes)


def judge(folder: Path, **changes: Any) -> dict[str, Finding]:
    hospital = write_hospital(folder.parent / "hospital", folder, **changes)
    return {finding.check: finding for finding in check_images(hospital)}


def only_fault(findings: dict[str, Finding], status: Status = Status.WARN) -> Finding:
    (fault,) = [finding for finding in findings.values() if finding.status != Status.PASSED]
    assert fault.status == status
    assert fault.mend
    return fault


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_sound_images_pass(folder: Path) -> None:
    findings = check(folder, write(folder))
    assert {finding.status for finding in findings.values()} == {Status.PASSED}
    assert len(findings) == len(IMAGE_CHECKS)


def test_the_phantom_passes(phantom: Path, tmp_path: Path) -> None:
    findings = check_images(write_hospital(tmp_path, phantom))
    assert {finding.status for finding in findings} == {Status.PASSED}


@pytest.mark.parametrize(
    ("name", "warnings"), [("skin200", set()), ("cxr200", {"one class per patient", "burned-in text"})]
)
def test_what_is_said_of_real_images(tmp_path: Path, name: str, warnings: set[str]) -> None:
    if not (SHARED / name).is_dir():
        pytest.skip(f"{SHARED / name} is not here: its licence forbids to distribute it")
    hospital = write_hospital(tmp_path, SHARED / name)
    findings = check_images(hospital)
    assert {finding.check for finding in findings if finding.status != Status.PASSED} == warnings
    # All ten are right: PORTABLE, SUPINE and the names of side markers stand in these X-rays.
    text = next(finding for finding in findings if finding.check == "burned-in text")
    assert not warnings or text.found.startswith("10 images")


def test_an_npz(tmp_path: Path) -> None:
    pixels = np.stack([picture(number, 64) for number in range(12)])
    np.savez(tmp_path / "data.npz", images=pixels, labels=np.arange(12) % 2)
    assert only_fault(judge(tmp_path / "data.npz")).check == "patients"


def test_unreadable_images(folder: Path) -> None:
    rows = write(folder)
    for name, content in (("a.png", b""), ("b.jpg", b"\xff\xd8\xff garbage"), ("c.dcm", b"DICM" * 99)):
        (folder / name).write_bytes(content)
        rows.append((name, "sick", name))
    fault = only_fault(check(folder, rows))
    assert fault.found.startswith("3 images left out: a.png (the file is empty (0 bytes)), b.jpg (")


def test_a_hostile_name_is_shown_harmless(folder: Path) -> None:
    rows = [*write(folder), ("evil\x1b[31m[bold].png", "sick", "p99")]
    (folder / "evil\x1b[31m[bold].png").write_bytes(b"no image")
    assert "evil [31m[bold].png" in only_fault(check(folder, rows)).found


def test_copies(folder: Path) -> None:
    rows = write(folder)
    save(folder / "again.png", picture(1))
    same = check(folder, [*rows, ("again.png", "sick", "p1")])
    assert only_fault(same).found == "1 image there more than once: 001.png = again.png"
    torn = check(folder, [*rows, ("again.png", "healthy", "p99")])
    assert torn["copies"].status == Status.FAILED
    assert torn["copies"].found == "1 image in two classes: again.png = 001.png"


CHANGES: dict[str, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    "same pixels, other file": lambda pixels: pixels,
    "half the size": lambda pixels: np.asarray(cv2.resize(pixels, (100, 100), interpolation=cv2.INTER_AREA), np.uint8),
    "brighter": lambda pixels: np.clip(pixels * 1.1 + 8, 0, 255).astype(np.uint8),
    "cropped": lambda pixels: pixels[2:-2, 2:-2],
}


@pytest.mark.parametrize("change", CHANGES)
def test_look_alikes(folder: Path, change: str) -> None:
    rows = write(folder)
    save(folder / "other.jpg", CHANGES[change](picture(1)), quality=80)
    fault = only_fault(check(folder, [*rows, ("other.jpg", "healthy", "p99")]))
    assert fault.found == "1 pair (1 in two classes): 001.png = other.jpg"
    same_patient = check(folder, [*rows, ("other.jpg", "sick", "p1")])
    assert same_patient["look-alikes"].found == "none of different patients; 1 pair of the same patient"
    assert same_patient["look-alikes"].status == Status.PASSED


def test_a_patient_in_two_classes(folder: Path) -> None:
    rows = [(name, label, "p0" if patient == "p1" else patient) for name, label, patient in write(folder)]
    fault = only_fault(check(folder, rows))
    assert (fault.check, "1 patient with" in fault.found) == ("one class per patient", True)


def test_unknown_patients(folder: Path) -> None:
    for name, label, _ in write(folder):
        save(folder / label / name, picture(int(name[:3])))
        (folder / name).unlink()
    assert only_fault(judge(folder)).check == "patients"


def test_classes(folder: Path) -> None:
    rows = write(folder)
    one = check(folder, [(name, "sick", patient) for name, _, patient in rows])
    assert only_fault(one, Status.FAILED).check == "classes"
    tiny = check(folder, [(name, "sick" if i else "healthy", patient) for i, (name, _, patient) in enumerate(rows)])
    assert only_fault(tiny).found == "healthy: 1, sick: 11; few of healthy"
    for name, label, _ in rows:
        if label == "sick":
            (folder / name).write_bytes(b"")
    none = check(folder, rows)["classes"]
    assert (none.status, none.found) == (Status.FAILED, "healthy: 6, sick: 0; no image of sick can be read")


@pytest.mark.parametrize("few", [False, True])
def test_a_guess_which_class_is_the_disease(folder: Path, few: bool) -> None:
    kinds = ["cats" if i == 0 or (i % 2 and not few) else "dogs" for i in range(12)]
    rows = [(name, kind, patient) for (name, _, patient), kind in zip(write(folder), kinds, strict=True)]
    assert "a guess from the names: 'dogs' is taken for the disease" in check(folder, rows)["classes"].found


def test_folders_of_hospitals_are_told(folder: Path) -> None:
    for number in range(24):
        place = folder / f"site{number % 2}" / ("healthy", "sick")[number // 2 % 2] / f"{number}.png"
        save(place, picture(number))
    assert judge(folder)["classes"].found == (
        "healthy: 12, sick: 12; folders above the classes are taken for hospitals: 'site0', 'site1'"
    )


@pytest.mark.parametrize(("least", "status"), [(13, Status.FAILED), (11, Status.FAILED), (9, Status.WARN)])
def test_too_few_images(folder: Path, least: int, status: Status) -> None:
    wanted = rules(least_images=least).model_dump(mode="json")
    assert only_fault(check(folder, write(folder), rules=wanted), status).check == "enough images"


@pytest.mark.parametrize("shape", [(40, 40), (900, 900), (40, 400)])
def test_an_image_of_another_size(folder: Path, shape: tuple[int, int]) -> None:
    rows = [*write(folder), ("odd.png", "sick", "p99")]
    save(folder / "odd.png", np.asarray(cv2.resize(picture(99), shape[::-1]), np.uint8))
    assert f"odd.png ({shape[1]} x {shape[0]})" in only_fault(check(folder, rows)).found


def test_a_grey_image_among_coloured(folder: Path) -> None:
    rows = [*write(folder), ("grey.jpg", "sick", "p99")]
    save(folder / "grey.jpg", np.repeat(picture(99)[..., :1], 3, axis=2))
    assert only_fault(check(folder, rows)).found == "1 grey image among 12 coloured: grey.jpg"


def test_blank_and_saturated_images(folder: Path) -> None:
    rows = [*write(folder), ("blank.png", "sick", "p98"), ("black.png", "sick", "p99")]
    save(folder / "blank.png", np.full((200, 200, 3), (90, 120, 100), np.uint8))
    half_black = picture(99)
    half_black[:, :110] = 0
    save(folder / "black.png", half_black)
    assert only_fault(check(folder, rows)).found == "1 blank image: blank.png; 1 saturated image: black.png"


def test_what_cannot_be_listed_is_a_failure(tmp_path: Path) -> None:
    (finding,) = check_images(write_hospital(tmp_path, tmp_path / "nowhere"))
    assert (finding.check, finding.status) == ("images", Status.FAILED)
