"""Reads a hospital's images: lists them, decodes each once, and checks labels, patients and classes.

Three layouts are read (`common.dataset.readers`): a folder of class folders, a CSV manifest, and a MedMNIST-style
``.npz``. Each image is decoded once here, so that an unreadable one is named at the start and not in the ninth round;
the decoded pixels of files are not kept.
"""

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common.dataset.classes import order_classes
from common.dataset.listing import ListedImage, Listing
from common.dataset.patients import name_patients
from common.dataset.readers.class_folders import list_class_folders
from common.dataset.readers.csv_manifest import MANIFEST_NAME, list_csv
from common.dataset.readers.npz import list_npz
from common.dataset.records import Dataset, ExcludedImage, ImageRecord
from common.dataset.settings import DEFAULT_SETTINGS, DatasetSettings
from common.errors import InputError
from common.imaging.errors import ImageError
from common.imaging.limits import DEFAULT_LIMITS, ImageLimits

# Decoding releases the interpreter lock; beyond four threads the memory of large X-rays costs more than time is won.
_THREADS = min(4, os.cpu_count() or 1)


def load_dataset(
    path: Path, settings: DatasetSettings = DEFAULT_SETTINGS, limits: ImageLimits = DEFAULT_LIMITS
) -> Dataset:
    """List, check and decode a hospital's images.

    An image that cannot be read is left out by name. The same content may occur twice with one label (the preflight
    reports it); where the patients are unknown, such twins count as one patient, so that a split keeps them together.

    Parameters
    ----------
    path : Path
        A folder of class folders, a folder with a ``manifest.csv``, a ``.csv``, or an ``.npz``.
    settings : DatasetSettings
        Names of columns, the patient pattern, the positive class, the classes.
    limits : ImageLimits
        The largest image to read.

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
    labels = (image.label for image in listing.images)
    classes = order_classes(str(path), labels, settings.positive, settings.classes)
    digests = _verify_all(listing.images)
    _check_no_class_is_empty(path, listing.images, digests)
    _check_labels_agree(path, listing.images, digests)
    excluded = [ExcludedImage(name, reason) for name, reason in listing.left_out]
    records = []
    twins: dict[str, str] = {}
    known = zip(listing.images, patients, digests, strict=True)
    for image, patient, digest in sorted(known, key=lambda each: each[0].name):
        if isinstance(digest, ImageError):
            excluded.append(ExcludedImage(image.name, digest.reason))
            continue
        owner = twins.setdefault(digest, image.name) if patient is None else patient
        label = classes.index(image.label)
        records.append(ImageRecord(image.name, label, owner, image.site, digest, image.source))
    excluded.sort(key=lambda each: each.name)
    name = path.resolve().name if path.is_dir() else path.stem
    return Dataset(name, classes, tuple(records), tuple(excluded), patient_source)


def list_images(
    path: Path, settings: DatasetSettings = DEFAULT_SETTINGS, limits: ImageLimits = DEFAULT_LIMITS
) -> Listing:
    """List a hospital's images without reading them; parameters and errors as in `load_dataset`."""
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


def _verify_all(images: Sequence[ListedImage]) -> list[str | ImageError]:
    """Decode each image once; return its digest or its error, in the order given."""

    def verify(image: ListedImage) -> str | ImageError:
        try:
            return image.source.verify()
        except ImageError as error:
            return error

    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="verify")
    try:
        return list(pool.map(verify, images))
    finally:
        # after Ctrl-C, the images that are still in the queue are not read
        pool.shutdown(cancel_futures=True)


def _check_no_class_is_empty(path: Path, images: Sequence[ListedImage], digests: Sequence[str | ImageError]) -> None:
    readable: Counter[str] = Counter()
    first_errors: dict[str, ImageError] = {}
    for image, digest in zip(images, digests, strict=True):
        if isinstance(digest, ImageError):
            first_errors.setdefault(image.label, digest)
        else:
            readable[image.label] += 1
    for label, error in sorted(first_errors.items()):
        if readable[label] == 0:
            count = sum(image.label == label for image in images)
            what = "its one image" if count == 1 else f"none of its {count} images"
            cannot = "cannot be read" if count == 1 else "can be read"
            raise InputError(f"{path}: class {label!r} is empty, {what} {cannot} ({error}); export the images anew")


def _check_labels_agree(path: Path, images: Sequence[ListedImage], digests: Sequence[str | ImageError]) -> None:
    first: dict[str, ListedImage] = {}
    for image, digest in zip(images, digests, strict=True):
        if isinstance(digest, ImageError):
            continue
        twin = first.setdefault(digest, image)
        if twin.label != image.label:
            raise InputError(
                f"{path}: {twin.name!r} and {image.name!r} are the same image, but one is {twin.label!r} and the "
                f"other {image.label!r}; correct the label or remove both"
            )
