"""A folder with one sub-folder per class, as images are most often handed over."""

from collections.abc import Collection, Sequence
from pathlib import Path

from common.dataset.image_source import FileSource
from common.dataset.listing import ListedImage, Listing, shown_name
from common.dataset.readers.hospital_folders import hospitals_come_first
from common.dataset.readers.image_files import files_below, why_closed
from common.dataset.readers.masks import MASK_REASON, find_masks
from common.dataset.settings import DEFAULT_SITE_COLUMN, DatasetSettings
from common.errors import InputError
from common.imaging.limits import ImageLimits

_SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def list_class_folders(root: Path, settings: DatasetSettings, limits: ImageLimits) -> Listing:
    """List the images below `root`; the first folder on the way to an image is its class.

    Where the first folders are hospitals and the second ones classes, they are taken so
    (`common.dataset.readers.hospital_folders`). Masks beside their images, images of kinds that are not read, and
    images beside the class folders are left out by name.

    Parameters
    ----------
    root : Path
        An existing folder without manifest.
    settings : DatasetSettings
        A column that they name is an error, since a folder has none.
    limits : ImageLimits
        For the sources.

    Returns
    -------
    Listing
        Without patients; with sites where the folders name hospitals.

    Raises
    ------
    InputError
        There are no images or no class folders, a class has no image that is read, the folders are splits instead of
        classes, it cannot be told which folders are classes, or a link leaves the root.
    """
    _refuse_columns(root, settings)
    files = files_below(root)
    paths = {shown_name(path.relative_to(root).as_posix()): path for path in files.images}
    left_out = [(shown_name(path.relative_to(root).as_posix()), why_closed(path)) for path in files.closed]
    in_folders = {name: path for name, path in paths.items() if "/" in name}
    left_out += [(name, "lies beside the class folders, not in one") for name in paths if name not in in_folders]
    masks = find_masks(list(in_folders))
    left_out += [(name, MASK_REASON) for name in masks]
    used = {name: path for name, path in in_folders.items() if name not in masks}
    _check_some_classes(root, set(used), left_out)
    by_hospital = hospitals_come_first(root, list(used))
    images = [_image(name, path, by_hospital, limits) for name, path in used.items()]
    _check_no_class_is_closed(root, images, left_out, by_hospital)
    others = [shown_name(path.relative_to(root).as_posix()) for path in files.others]
    return Listing(images, left_out, None, others)


def _image(name: str, path: Path, by_hospital: bool, limits: ImageLimits) -> ListedImage:
    *folders, _ = name.split("/")
    site = folders.pop(0) if by_hospital else None
    label, *between = folders
    source = FileSource(path, name, limits)
    return ListedImage(name, shown_name(path.stem), label, None, site, source, tuple(between))


def _check_some_classes(root: Path, used: Collection[str], left_out: Sequence[tuple[str, str]]) -> None:
    if not used:
        found = "no images"
        if left_out:
            beside = all("/" not in name for name, _ in left_out)
            found = f"{len(left_out)} images but no class folder" if beside else f"no images ({left_out[0][1]})"
        raise InputError(
            f"{root}: {found} in this folder; put the images into one folder per class, or add a manifest.csv"
        )
    if {name.split("/")[0].casefold() for name in used} <= _SPLIT_NAMES:
        raise InputError(
            f"{root}: its folders are splits, not classes; give one folder per class, rarefed makes its own splits"
        )


def _check_no_class_is_closed(
    root: Path, images: Sequence[ListedImage], left_out: Sequence[tuple[str, str]], by_hospital: bool
) -> None:
    """Refuse a class of which no image is read: whoever trains without it must have decided so."""
    depth = 1 if by_hospital else 0
    classes = {image.label for image in images}
    for name, reason in sorted(left_out):
        parts = name.split("/")[depth:-1]
        if parts and parts[0] not in classes:
            count = sum(other.split("/")[depth:-1][:1] == parts[:1] for other, _ in left_out)
            raise InputError(
                f"{root}: class {parts[0]!r} is empty, none of its {count} images is used ({name}: {reason}); mend "
                "that, or move the folder elsewhere"
            )


def _refuse_columns(root: Path, settings: DatasetSettings) -> None:
    for what, column, without in (
        ("patient", settings.patient_column, ("auto", "none")),
        ("site", settings.site_column, (DEFAULT_SITE_COLUMN,)),
    ):
        if column not in without:
            raise InputError(
                f"{root}: the {what} column {column!r} is asked for, but there is no manifest.csv to hold it"
            )
