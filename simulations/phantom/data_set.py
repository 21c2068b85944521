"""The built-in synthetic data set: four hospitals with dermoscopy-like pictures of a disease that does not exist.

It lets a fresh machine run every job without patient data. Its numbers say whether the machinery works and how
federated, centralised and local training compare on a problem of realistic shape (200 images, four unequal sites,
different cameras); they say nothing about any real disease.
"""

import csv
import io
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from common.errors import InputError
from common.system.files import publish_folder
from simulations.phantom.cameras import CAMERAS, Camera, photograph
from simulations.phantom.drawing import draw_scene
from simulations.phantom.findings import sample_findings

VERSION = 1
"""Part of the cache folder's name and of every seed: raise it whenever a picture changes."""

MINIMUM_IMAGES = 40
"""Below this the smallest site would be left without a positive case."""

_POSITIVES = (13, 45, 47, 5)
_NEGATIVES = (30, 25, 25, 10)
_IMAGES_PER_PATIENT = (0.80, 0.14, 0.06)

_NOTICE = """\
# Synthetic data

These pictures are drawn by rarefed (phantom version {version}, seed {seed}, {images} images). They show no patient, no
real lesion and no real disease. Use them to try the software; results on them mean nothing for medicine.

`manifest.csv` lists every picture with its label, its (invented) patient and its (invented) site.
"""


@dataclass(frozen=True)
class _Case:
    """One picture to take: `lesion` and `picture` are the numbers from which their generators are seeded."""

    camera: Camera
    positive: bool
    lesion: int
    picture: int


def phantom_folder(cache: Path, *, seed: int = 1, images: int = 200) -> Path:
    """Return the folder of a phantom data set, drawing it on first use.

    The pictures are drawn in a temporary folder beside the final one, which then takes the final name in one rename. So
    the final name always stands for a whole data set, also after an interruption or with two processes at once. Only a
    process that is killed leaves its hidden `.part` folder behind; it is never read and may be deleted.

    Parameters
    ----------
    cache : Path
        Where phantoms are kept; made if it is missing.
    seed : int
        Which phantom; equal seeds give equal files.
    images : int
        How many pictures, at least `MINIMUM_IMAGES`.

    Returns
    -------
    Path
        `cache/phantom-v<VERSION>-<images>-<seed>`, with `manifest.csv`, `images/` and `DATASET.md`.

    Raises
    ------
    InputError
        If `seed` or `images` is out of range.
    """
    _check(seed, images)
    final = cache / f"phantom-v{VERSION}-{images}-{seed}"
    if final.is_dir():
        return final
    cache.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=cache, prefix=f".{final.name}.", suffix=".part"))
    try:
        write_phantom(temporary, seed=seed, images=images)
        temporary.chmod(0o755)  # mkdtemp makes it private, but a cache may be shared
        try:
            publish_folder(temporary, final)
        except OSError:
            if not final.is_dir():
                raise  # not a lost race: the disk is full, or the cache has gone
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return final


def write_phantom(folder: Path, *, seed: int = 1, images: int = 200) -> None:
    """Draw a phantom data set into a folder.

    Parameters
    ----------
    folder : Path
        Missing or empty. It receives `images/*.png` (RGB, 8 bit, about 256 pixels square, the size depends on the
        site), `manifest.csv` (columns path, label, patient, site; label is `positive` or `negative`) and `DATASET.md`.
    seed : int
        Not negative. Equal seeds give equal pixels; the bytes of the files are equal too for one release of Pillow.
    images : int
        How many pictures, at least `MINIMUM_IMAGES`; 55 % of them are positive.

    Raises
    ------
    InputError
        If `seed` or `images` is out of range, or the folder holds something already.
    """
    _check(seed, images)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is not an empty folder; give a new one for the phantom data set")
    (folder / "images").mkdir(parents=True)
    cases = _roster(np.random.default_rng([VERSION, seed, 0]), images)
    table = io.StringIO(newline="")
    rows = csv.writer(table, lineterminator="\n")
    rows.writerow(("path", "label", "patient", "site"))
    for case in cases:
        path = f"images/phantom_{case.picture:04d}.png"
        _draw(case, seed).save(folder / path, "PNG", compress_level=1)
        label = "positive" if case.positive else "negative"
        rows.writerow((path, label, f"P{case.lesion:04d}", case.camera.site))
    (folder / "manifest.csv").write_text(table.getvalue(), encoding="utf-8", newline="")
    notice = _NOTICE.format(version=VERSION, seed=seed, images=images)
    (folder / "DATASET.md").write_text(notice, encoding="utf-8", newline="")


def _check(seed: int, images: int) -> None:
    """Refuse what cannot be drawn."""
    if seed < 0:
        raise InputError(f"phantom seed {seed}: must not be negative")
    if images < MINIMUM_IMAGES:
        raise InputError(f"phantom of {images} images: at least {MINIMUM_IMAGES} are needed for four sites")


def _roster(rng: np.random.Generator, images: int) -> list[_Case]:
    """Return all cases in the order of the manifest; numbers are dealt at random, so that no name tells the class."""
    positives = round(images * sum(_POSITIVES) / (sum(_POSITIVES) + sum(_NEGATIVES)))
    lesions: list[tuple[Camera, bool, int]] = []
    for positive, total, shares in ((True, positives, _POSITIVES), (False, images - positives, _NEGATIVES)):
        for camera, count in zip(CAMERAS, _apportion(total, shares), strict=True):
            lesions += [(camera, positive, views) for views in _views_per_lesion(rng, count)]
    patients = rng.permutation(len(lesions)) + 1
    pictures = iter(rng.permutation(images) + 1)
    cases = [
        _Case(camera, positive, int(patient), int(next(pictures)))
        for (camera, positive, views), patient in zip(lesions, patients, strict=True)
        for _ in range(views)
    ]
    return sorted(cases, key=lambda case: case.picture)


def _apportion(total: int, shares: Sequence[int]) -> list[int]:
    """Return whole numbers in proportion to `shares` that add up to `total` (largest remainders)."""
    whole = sum(shares)
    counts = [total * share // whole for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda index: -(total * shares[index] % whole))
    for index in by_remainder[: total - sum(counts)]:
        counts[index] += 1
    return counts


def _views_per_lesion(rng: np.random.Generator, images: int) -> list[int]:
    """Return how often each patient of one site and class was pictured: mostly once; adds up to `images`."""
    views: list[int] = []
    while (left := images - sum(views)) > 0:
        views.append(min(left, int(rng.choice(3, p=_IMAGES_PER_PATIENT)) + 1))
    return views


def _draw(case: _Case, seed: int) -> Image.Image:
    """Draw one case; the lesion comes from the patient's generator, everything else from the picture's."""
    of_lesion = np.random.default_rng([VERSION, seed, 1, case.lesion])
    of_picture = np.random.default_rng([VERSION, seed, 2, case.picture])
    lacunar = bool(of_lesion.random() < case.camera.lacunar[int(case.positive)])
    findings = sample_findings(of_lesion, positive=case.positive, lacunar=lacunar)
    scene = draw_scene(of_lesion, findings)
    return photograph(of_picture, scene, case.camera, positive=case.positive)
