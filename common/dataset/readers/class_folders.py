"""A folder with one sub-folder per class, as images are most often handed over."""

from collections.abc import Collection, Sequence
from pathlib import Path

from common.dataset.image_source import FileSource
from common.dataset.listing import ListedImage, Listing, shown_name
from common.dataset.readers.folder_roles import FolderRoles, find_roles
from common.dataset.readers.image_files import FolderFiles, files_below, why_closed
from common.dataset.readers.masks import MASK_REASON, find_masks
from common.dataset.settings import DEFAULT_SITE_COLUMN, DatasetSettings
from common.dataset.suspected_patients import folders_of_patients
from common.errors import InputError
from common.imaging.limits import ImageLimits

_PLAIN_FOLDERS = frozenset({"images", "image", "imgs", "img", "data"})
_BESIDE = "lies beside the class folders, not in one"


def list_class_folders(root: Path, settings: DatasetSettings, limits: ImageLimits) -> Listing:
    """List the images below `root`; the first folder on the way to an image is its class.

    Where folders of hospitals lie above or below the classes, they are the sites
    (`common.dataset.readers.folder_roles`). Masks beside their images, images of kinds that are not read, and images
    beside the class folders are left out by name.

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
        There are no images or no class folders, a folder of a class has no image that is read, it cannot be told which
        folders are classes, or a link leaves the root.
    """
    _refuse_columns(root, settings)
    files = files_below(root)
    paths = {_name(root, path): path for path in files.images}
    left_out = [(_name(root, path), why_closed(path)) for path in files.closed]
    in_folders = {name for name in paths if "/" in name}
    left_out += [(name, _BESIDE) for name in paths if name not in in_folders]
    masks = find_masks(sorted(in_folders))
    left_out += [(name, MASK_REASON) for name in masks]
    _check_some_images(root, in_folders - masks, left_out)
    roles = find_roles(root, sorted(in_folders - masks), settings.classes)
    used = {name for name in in_folders - masks if name.count("/") > roles.depth}
    left_out += [(name, _BESIDE) for name in in_folders - masks - used]
    images = [_image(name, paths[name], roles, limits) for name in sorted(used)]
    _check_no_folder_is_lost(root, files, roles, images, left_out, settings.classes)
    return Listing(
        images=images,
        left_out=left_out,
        patient_source=None,
        others=[_name(root, path) for path in files.others],
        remark=roles.in_words({image.site for image in images if image.site}, _further_folders(images)),
    )


def _name(root: Path, path: Path) -> str:
    return shown_name(path.relative_to(root).as_posix())


def _image(name: str, path: Path, roles: FolderRoles, limits: ImageLimits) -> ListedImage:
    *folders, _ = name.split("/")
    return ListedImage(
        name=name,
        stem=shown_name(path.stem),
        label=folders[roles.label],
        patient=None,
        site=None if roles.site is None else folders[roles.site],
        source=FileSource(path, name, limits),
        folders=tuple(folders[roles.depth + 1 :]),
    )


def _further_folders(images: Sequence[ListedImage]) -> set[str]:
    """Return the names of folders below the classes that are no patients."""
    if folders_of_patients([image.folders for image in images]):
        return set()
    return {folder for image in images for folder in image.folders} - _PLAIN_FOLDERS


def _check_some_images(root: Path, used: Collection[str], left_out: Sequence[tuple[str, str]]) -> None:
    if used:
        return
    found = "no images"
    if left_out:
        beside = all("/" not in name for name, _ in left_out)
        found = f"{len(left_out)} images but no class folder" if beside else f"no images ({left_out[0][1]})"
    raise InputError(f"{root}: {found} in this folder; put the images into one folder per class, or add a manifest.csv")


def _check_no_folder_is_lost(
    root: Path,
    files: FolderFiles,
    roles: FolderRoles,
    images: Sequence[ListedImage],
    left_out: Sequence[tuple[str, str]],
    agreed: Collection[str],
) -> None:
    """Refuse a class, or a hospital, of which no image is read: whoever trains without it must have decided so.

    Folders of masks may be lost, and those of a class that a federation agreed on and a hospital has no image of.
    """
    filled = {tuple(image.name.split("/")[: depth + 1]) for image in images for depth in range(roles.depth + 1)}
    classes = {image.label for image in images}
    for folder in files.folders:
        parts = _name(root, folder).split("/")
        if len(parts) > roles.depth + 1 or tuple(parts) in filled:
            continue
        is_class = len(parts) == roles.label + 1
        if (is_class and parts[-1] in classes) or (len(parts) == 2 and not is_class):
            continue  # one hospital lacks a class that another one has
        lost = [(name, reason) for name, reason in left_out if name.split("/")[: len(parts)] == parts]
        if (lost and all(reason == MASK_REASON for _, reason in lost)) or (not lost and parts[-1] in agreed):
            continue
        why = f"none of its {len(lost)} images is used ({lost[0][0]}: {lost[0][1]})" if lost else "no image lies there"
        raise InputError(
            f"{root}: {'class' if is_class else 'hospital'} {parts[-1]!r} is empty, {why}; mend that, or move the "
            "folder elsewhere"
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
