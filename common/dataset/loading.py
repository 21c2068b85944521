"""Reads a hospital's images: lists them, decodes each once, and checks labels, patients and classes.

Three layouts are read (`common.dataset.readers`): a folder of class folders, a CSV manifest, and a MedMNIST-style
``.npz``. Each image is decoded once, so that an unreadable one is named at the start and not in the ninth round; an
index remembers what decoding told (`common.dataset.decoded_index`), and the decoded pixels of files are not kept.
"""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from common.dataset.classes import describe_guess, order_classes
from common.dataset.copies import join_patients_of_copies
from common.dataset.decoded_index import decoded_index, file_state
from common.dataset.file_tally import TABLE_SUFFIXES, WORKBOOK_SUFFIXES, tally_files
from common.dataset.image_source import FileSource, ImageSource, Verified
from common.dataset.listing import ListedImage, Listing
from common.dataset.one_site import keep_patients_at_one_site
from common.dataset.patients import name_patients
from common.dataset.readers.class_folders import list_class_folders
from common.dataset.readers.csv_manifest import find_manifest, list_csv
from common.dataset.readers.npz import list_npz
from common.dataset.records import Dataset, ExcludedImage, ImageRecord
from common.dataset.settings import DEFAULT_SETTINGS, DatasetSettings
from common.dataset.visible_text import visible_text
from common.errors import InputError
from common.imaging.errors import ImageError
from common.imaging.limits import DEFAULT_LIMITS, ImageLimits
from common.system.resources import usable_cores

# Decoding releases the interpreter lock; beyond four threads the memory of large X-rays costs more than time is won.
_THREADS = min(4, usable_cores())


def load_dataset(
    path: Path, settings: DatasetSettings = DEFAULT_SETTINGS, limits: ImageLimits = DEFAULT_LIMITS
) -> Dataset:
    """List, check and decode a hospital's images.

    An image that cannot be read is left out by name. The same content may occur twice with one label; patients who
    share an image count as one, so that a split keeps its copies together (`common.dataset.copies`).

    Parameters
    ----------
    path : Path
        A folder of class folders, a folder with a ``manifest.csv``, a ``.csv`` or ``.tsv``, or an ``.npz``.
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
    given_patients, patient_source = name_patients(str(path), listing, settings)
    classes = _classes(path, listing, settings)
    seen = _verify_all(listing.images)
    _check_no_class_is_empty(path, listing.images, seen)
    _check_labels_agree(path, listing.images, seen)
    told = sorted(zip(listing.images, given_patients, seen, strict=True), key=lambda each: each[0].name)
    unreadable = [ExcludedImage(image.name, it.reason) for image, _, it in told if isinstance(it, ImageError)]
    readable = [(image, patient, it) for image, patient, it in told if not isinstance(it, ImageError)]
    records, joined, moved = _records(readable, classes)
    excluded = [*unreadable, *(ExcludedImage(name, reason) for name, reason in listing.left_out)]
    return Dataset(
        name=path.resolve().name if path.is_dir() else path.stem,
        classes=classes,
        records=records,
        excluded=tuple(sorted(excluded, key=lambda each: each.name)),
        patient_source=patient_source,
        files=tally_files(listing, [(image.name, it) for image, _, it in told]),
        class_guess=describe_guess(classes, settings.positive, settings.classes),
        remark=listing.remark,
        joined=joined,
        moved=moved,
        split_source=listing.split_source,
    )


def _records(
    readable: Sequence[tuple[ListedImage, str | None, Verified]], classes: tuple[str, ...]
) -> tuple[tuple[ImageRecord, ...], str | None, str | None]:
    """Return the records of images, and in words which patients were joined, and which moved to another site."""
    patients, joined = join_patients_of_copies(
        [image.name for image, _, _ in readable],
        [patient for _, patient, _ in readable],
        [it.sha256 for _, _, it in readable],
    )
    records, moved = keep_patients_at_one_site(
        [
            ImageRecord(
                image.name,
                classes.index(image.label),
                patient,
                image.site,
                it.sha256,
                image.source,
                image.part,
                grey=it.grey,
            )
            for (image, _, it), patient in zip(readable, patients, strict=True)
        ]
    )
    return records, joined, moved


def _classes(path: Path, listing: Listing, settings: DatasetSettings) -> tuple[str, ...]:
    labels = [image.label for image in listing.images]
    try:
        return order_classes(str(path), labels, settings.positive, settings.classes)
    except InputError as error:
        in_folders = path.is_dir() and find_manifest(path) is None
        raise InputError(f"{error}{_table_hint(path) if in_folders else ''}") from error


def list_images(
    path: Path, settings: DatasetSettings = DEFAULT_SETTINGS, limits: ImageLimits = DEFAULT_LIMITS
) -> Listing:
    """List a hospital's images without reading them; parameters and errors as in `load_dataset`."""
    listing = _list_layout(path, settings, limits)
    images = [replace(image, label=visible_text(image.label)) for image in listing.images]
    return replace(listing, images=images)


def _list_layout(path: Path, settings: DatasetSettings, limits: ImageLimits) -> Listing:
    if path.is_dir():
        manifest = find_manifest(path)
        if manifest is not None:
            return list_csv(manifest, settings, limits)
        try:
            return list_class_folders(path, settings, limits)
        except InputError as error:
            raise InputError(f"{error}{_table_hint(path)}") from error
    if not path.exists():
        raise InputError(f"{path}: there is no such folder or file; {_mend_path(path)}")
    suffix = path.suffix.lower()
    if suffix in TABLE_SUFFIXES:
        return list_csv(path, settings, limits)
    if suffix == ".npz":
        return list_npz(path, settings, limits)
    if suffix in WORKBOOK_SUFFIXES:
        raise InputError(f"{path}: is a workbook; save the table as 'CSV UTF-8' and give that")
    raise InputError(f"{path}: is no folder, .csv, .tsv or .npz; give a folder of class folders, or a manifest")


def _mend_path(path: Path) -> str:
    if ":/" in str(path):
        return "nothing is read from the web: download the data and give their folder"
    if "$" in str(path):
        return "variables are not filled in: write the path itself"
    return "check the path of the data"


def _table_hint(folder: Path) -> str:
    """Return the end of an error about a folder's layout: the one table in it, which may list the images."""
    tables = [each for each in folder.iterdir() if each.suffix.lower() in (*TABLE_SUFFIXES, *WORKBOOK_SUFFIXES)]
    if len(tables) != 1:
        return ""
    if tables[0].suffix.lower() in WORKBOOK_SUFFIXES:
        return f"; if {tables[0].name} lists the images, save it as manifest.csv ('CSV UTF-8')"
    return f"; if {tables[0].name} lists the images, give {tables[0]}"


def _verify_all(images: Sequence[ListedImage]) -> list[Verified | ImageError]:
    """Return what decoding each image told, or its error, in the order given; decode what is not known yet."""
    index = decoded_index()
    files = [image.source for image in images if isinstance(image.source, FileSource)]
    if index is None or len(files) < len(images):
        return _decode_all([image.source for image in images])
    known = index.look_up(files)
    unknown = [source for source, seen in zip(files, known, strict=True) if seen is None]
    # Before they are read: whatever changes from now on makes another state.
    states = [file_state(source) for source in unknown]
    decoded = _decode_all(unknown)
    index.remember(list(zip(unknown, states, decoded, strict=True)))
    further = iter(decoded)
    return [next(further) if seen is None else seen for seen in known]


def _decode_all(sources: Sequence[ImageSource]) -> list[Verified | ImageError]:
    def verify(source: ImageSource) -> Verified | ImageError:
        try:
            return source.verify()
        except ImageError as error:
            return error

    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="verify")
    try:
        return list(pool.map(verify, sources))
    finally:
        # after Ctrl-C, the images that are still in the queue are not read
        pool.shutdown(cancel_futures=True)


def _check_no_class_is_empty(path: Path, images: Sequence[ListedImage], seen: Sequence[Verified | ImageError]) -> None:
    readable: Counter[str] = Counter()
    first_errors: dict[str, ImageError] = {}
    for image, it in zip(images, seen, strict=True):
        if isinstance(it, ImageError):
            first_errors.setdefault(image.label, it)
        else:
            readable[image.label] += 1
    for label, error in sorted(first_errors.items()):
        if readable[label] == 0:
            count = sum(image.label == label for image in images)
            what = "its one image" if count == 1 else f"none of its {count} images"
            cannot = "cannot be read" if count == 1 else "can be read"
            raise InputError(f"{path}: class {label!r} is empty, {what} {cannot} ({error}); export the images anew")


def _check_labels_agree(path: Path, images: Sequence[ListedImage], seen: Sequence[Verified | ImageError]) -> None:
    first: dict[str, ListedImage] = {}
    for image, it in zip(images, seen, strict=True):
        if isinstance(it, ImageError):
            continue
        twin = first.setdefault(it.sha256, image)
        if twin.label != image.label:
            raise InputError(
                f"{path}: {twin.name!r} and {image.name!r} are the same image, but one is {twin.label!r} and the "
                f"other {image.label!r}; correct the label or remove both"
            )
