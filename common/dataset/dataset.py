"""A hospital's images as records: what is there, whose it is, which class it shows, and whether it can be read.

Three layouts are read (`common.dataset.readers`): a folder of class folders, a CSV manifest, and a MedMNIST-style
``.npz``. Each image is decoded once here, so that an unreadable one is named at the start and not in the ninth round;
the decoded pixels of files are not kept.
"""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from common.dataset.classes import order_classes
from common.dataset.listing import (
    DEFAULT_SETTINGS,
    ArraySource,
    Candidate,
    FileSource,
    ImageSource,
    Listing,
    ManifestSettings,
)
from common.dataset.patients import name_patients
from common.dataset.readers.class_folders import list_class_folders
from common.dataset.readers.csv_manifest import list_csv
from common.dataset.readers.npz import list_npz
from common.errors import InputError
from common.imaging.decode import DEFAULT_LIMITS, ImageError, ImageLimits

__all__ = [
    "MANIFEST_NAME",
    "ArraySource",
    "Dataset",
    "Excluded",
    "FileSource",
    "ImageRecord",
    "ImageSource",
    "ManifestSettings",
    "list_images",
    "load_dataset",
]

MANIFEST_NAME = "manifest.csv"
# Decoding releases the interpreter lock; beyond four threads the memory of large X-rays costs more than time is won.
_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class ImageRecord:
    """One readable image.

    Attributes
    ----------
    name : str
        Path below the data root with "/" separators, or ``train_images[12]``; for humans of this hospital only.
    label : int
        Index into `Dataset.classes`.
    patient : str
        Whose it is, as given; images of one patient must never be parted by a split.
    site : str or None
        Where it was taken, if that is known.
    sha256 : str
        Digest of the file's bytes, or of an array's shape and bytes.
    source : ImageSource
        Its pixels.
    """

    name: str
    label: int
    patient: str
    site: str | None
    sha256: str
    source: ImageSource


@dataclass(frozen=True)
class Excluded:
    """An image that is left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """The images of one hospital.

    Attributes
    ----------
    name : str
        Name of the folder, or of the file without suffix.
    classes : tuple of str
        Two: negative, positive. More: sorted by name, numbers by value.
    records : tuple of ImageRecord
        Sorted by name, so that their order does not depend on the file system.
    excluded : tuple of Excluded
        Sorted by name.
    patient_source : str
        Where the patients come from, in words.
    """

    name: str
    classes: tuple[str, ...]
    records: tuple[ImageRecord, ...]
    excluded: tuple[Excluded, ...]
    patient_source: str


def load_dataset(
    path: Path, settings: ManifestSettings = DEFAULT_SETTINGS, limits: ImageLimits = DEFAULT_LIMITS
) -> Dataset:
    """List, check and decode a hospital's images.

    An image that cannot be read is left out by name. The same content may occur twice with one label (a later check
    reports it); where the patient of each image is unknown, such twins count as one patient, so that no split parts
    them.

    Parameters
    ----------
    path : Path
        A folder of class folders, a folder with a ``manifest.csv``, a ``.csv``, or an ``.npz``.
    settings : ManifestSettings
        Names of columns, the patient pattern, the positive class.
    limits : ImageLimits
        What one image may cost.

    Returns
    -------
    Dataset
        At least one readable image of each of at least two classes.

    Raises
    ------
    InputError
        The path, the manifest, a label or a patient cannot be used; a class has no readable image; or one content has
        two labels. The message is one line that says how to mend it.
    """
    listing = list_images(path, settings, limits)
    patients, patient_source = name_patients(str(path), listing, settings)
    labels = (candidate.label for candidate in listing.candidates)
    classes = order_classes(str(path), labels, settings.positive, settings.classes)
    digests = _verify_all(listing.candidates)
    _check_no_class_is_empty(path, listing.candidates, digests)
    _check_labels_agree(path, listing.candidates, digests)
    excluded = [Excluded(name, reason) for name, reason in listing.left_out]
    records = []
    twins: dict[str, str] = {}
    known = zip(listing.candidates, patients, digests, strict=True)
    for candidate, patient, digest in sorted(known, key=lambda each: each[0].name):
        if isinstance(digest, ImageError):
            excluded.append(Excluded(candidate.name, digest.reason))
            continue
        owner = twins.setdefault(digest, candidate.name) if patient is None else patient
        label = classes.index(candidate.label)
        records.append(ImageRecord(candidate.name, label, owner, candidate.site, digest, candidate.source))
    excluded.sort(key=lambda each: each.name)
    name = path.resolve().name if path.is_dir() else path.stem
    return Dataset(name, classes, tuple(records), tuple(excluded), patient_source)


def list_images(
    path: Path, settings: ManifestSettings = DEFAULT_SETTINGS, limits: ImageLimits = DEFAULT_LIMITS
) -> Listing:
    """List a hospital's images by the reader for what lies at `path`, without reading one; as `load_dataset` does."""
    if path.is_dir():
        manifest = path / MANIFEST_NAME
        if manifest.exists():
            return list_csv(manifest, settings, limits)
        return list_class_folders(path, settings, limits)
    if not path.exists():
        raise InputError(f"{path}: there is no such folder or file; check the path of the data")
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return list_csv(path, settings, limits)
    if suffix == ".npz":
        return list_npz(path, settings, limits)
    raise InputError(f"{path}: is no folder, .csv or .npz; give a folder of class folders, or a manifest")


def _verify_all(candidates: Sequence[Candidate]) -> list[str | ImageError]:
    """Decode each image once; return its digest or its error, in the order given."""

    def verify(candidate: Candidate) -> str | ImageError:
        try:
            return candidate.source.verify()
        except ImageError as error:
            return error

    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="verify")
    try:
        return list(pool.map(verify, candidates))
    finally:
        # on Ctrl-C nobody shall wait for thousands of images that are still in the queue
        pool.shutdown(cancel_futures=True)


def _check_no_class_is_empty(path: Path, candidates: Sequence[Candidate], digests: Sequence[str | ImageError]) -> None:
    readable: Counter[str] = Counter()
    first_errors: dict[str, ImageError] = {}
    for candidate, digest in zip(candidates, digests, strict=True):
        if isinstance(digest, ImageError):
            first_errors.setdefault(candidate.label, digest)
        else:
            readable[candidate.label] += 1
    for label, error in sorted(first_errors.items()):
        if readable[label] == 0:
            count = sum(candidate.label == label for candidate in candidates)
            what = "its one image" if count == 1 else f"none of its {count} images"
            cannot = "cannot be read" if count == 1 else "can be read"
            raise InputError(f"{path}: class {label!r} is empty, {what} {cannot} ({error}); export the images anew")


def _check_labels_agree(path: Path, candidates: Sequence[Candidate], digests: Sequence[str | ImageError]) -> None:
    first: dict[str, Candidate] = {}
    for candidate, digest in zip(candidates, digests, strict=True):
        if isinstance(digest, ImageError):
            continue
        twin = first.setdefault(digest, candidate)
        if twin.label != candidate.label:
            raise InputError(
                f"{path}: {twin.name!r} and {candidate.name!r} are the same image, but one is {twin.label!r} and the "
                f"other {candidate.label!r}; correct the label or remove both"
            )
