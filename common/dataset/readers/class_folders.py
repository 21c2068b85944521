"""A folder with one sub-folder per class, as images are most often handed over."""

import os
from pathlib import Path

from common.dataset.image_source import FileSource
from common.dataset.listing import ListedImage, Listing, shown_name
from common.dataset.settings import DEFAULT_SITE_COLUMN, DatasetSettings
from common.errors import InputError
from common.imaging.decode import IMAGE_SUFFIXES
from common.imaging.dicom import has_magic
from common.imaging.limits import ImageLimits

_SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
_MAGIC_REACH = 132


def list_class_folders(root: Path, settings: DatasetSettings, limits: ImageLimits) -> Listing:
    """List the images below `root`; the first folder on the way to an image is its class.

    Hidden files and files of other kinds are skipped; images beside the class folders are left out by name.

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
        Without patients and sites.

    Raises
    ------
    InputError
        There are no images or no class folders, the folders are splits instead of classes, or a link leaves the root.
    """
    _refuse_columns(root, settings)
    images: list[ListedImage] = []
    left_out: list[tuple[str, str]] = []
    for path in _image_files(root):
        parts = path.relative_to(root).parts
        name = shown_name("/".join(parts))
        if len(parts) == 1:
            left_out.append((name, "lies beside the class folders, not in one"))
            continue
        source = FileSource(path, name, limits)
        images.append(ListedImage(name, shown_name(path.stem), shown_name(parts[0]), None, None, source))
    if not images:
        found = f"{len(left_out)} images but no class folder" if left_out else "no images"
        raise InputError(
            f"{root}: {found} in this folder; put the images into one folder per class, or add a manifest.csv"
        )
    if {image.label.casefold() for image in images} <= _SPLIT_NAMES:
        raise InputError(
            f"{root}: its folders are splits, not classes; give one folder per class, rarefed makes its own splits"
        )
    return Listing(images, left_out, None)


def _refuse_columns(root: Path, settings: DatasetSettings) -> None:
    for what, column, without in (
        ("patient", settings.patient_column, ("auto", "none")),
        ("site", settings.site_column, (DEFAULT_SITE_COLUMN,)),
    ):
        if column not in without:
            raise InputError(
                f"{root}: the {what} column {column!r} is asked for, but there is no manifest.csv to hold it"
            )


def _image_files(root: Path) -> list[Path]:
    """Return all image files below `root`, refusing links that lead out of it or to folders."""
    real_root = root.resolve()
    found = []
    for folder, subfolders, files in os.walk(root, onerror=_raise_unreadable):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in subfolders:
            if (Path(folder) / name).is_symlink():
                raise InputError(
                    f"{Path(folder) / name}: links to folders are not followed; put the folder itself there"
                )
        for name in sorted(files):
            path = Path(folder) / name
            if name.startswith(".") or not _is_image(path):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(real_root):
                raise InputError(f"{path}: this link leads out of {root}; put the file itself there")
            found.append(path)
    return found


def _raise_unreadable(error: OSError) -> None:
    # os.walk would silently skip a folder that may not be listed, with all its patients
    raise InputError(f"{error.filename}: this folder cannot be listed ({error.strerror})") from error


def _is_image(path: Path) -> bool:
    """Tell by suffix, or by content for the DICOM files without one that a PACS exports."""
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    if path.name.upper() == "DICOMDIR" or not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return has_magic(stream.read(_MAGIC_REACH))
    except OSError:
        return False
