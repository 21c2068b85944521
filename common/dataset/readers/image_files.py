"""Finds the files of a folder: images that are read, images of kinds that are not, and files that are no images."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from common.dataset.file_tally import shown_suffix
from common.dataset.listing import shown_name
from common.errors import InputError
from common.imaging.decode import IMAGE_SUFFIXES, looks_like_an_image
from common.system.wording import words

# Pictures and volumes that rarefed does not read; whoever has a class of them must hear of it.
_OTHER_IMAGES = words(
    """
    .gif .jp2 .j2k .j2c .jpx .jph .pgm .ppm .pbm .pnm .heic .heif .avif .jxl .nii .nii.gz .mha .mhd .nrrd .img .raw
    .svs .ndpi .mrxs .scn .czi .vsi .ico .psd .svg .pcx .tga .exr .hdr .mat .npy .pdf .eps .avi .mp4 .mov
    """
)
# What programs leave beside a file that they write or fetch: an image twice, or half of one.
_COPIES = frozenset({".bak", ".old", ".orig", ".tmp", ".part", ".crdownload"})
_HARMLESS = frozenset({"thumbs.db", "desktop.ini", "dicomdir", "ehthumbs.db", "iconcache.db"})
_HARMLESS_STEMS = frozenset({"readme", "license", "licence", "copying", "citation", "changelog", "dataset", "notice"})
_TEXT_SUFFIXES = frozenset({"", ".md", ".txt", ".rst", ".html", ".cff"})
_HARMLESS_FOLDERS = frozenset({"__macosx"})
_HEAD = 132


@dataclass
class FolderFiles:
    """The files below a folder, by what they are; each list in the order of names.

    Attributes
    ----------
    images : list of Path
        What is read.
    closed : list of Path
        Images and volumes of kinds that are not read.
    others : list of Path
        Files that are no images, but for harmless ones.
    folders : list of Path
        The folders on the way.
    """

    images: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)
    others: list[Path] = field(default_factory=list)
    folders: list[Path] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """Sort a file in."""
        if path.name.startswith(".") or _is_harmless(path):
            return
        if path.suffix.lower() in IMAGE_SUFFIXES:
            self.images.append(path)
        elif shown_suffix(path.name) in _OTHER_IMAGES:
            self.closed.append(path)
        elif path.suffix.lower() not in _COPIES and not path.name.endswith("~") and _holds_an_image(path):
            self.images.append(path)
        else:
            self.others.append(path)


def files_below(root: Path) -> FolderFiles:
    """Return all files below `root`.

    Raises
    ------
    InputError
        A link leads out of `root` or to a folder, or a folder cannot be listed.
    """
    real_root = root.resolve()
    found = FolderFiles()
    for path in _walk(root, found.folders):
        if path.is_symlink() and _matters(path) and _leads_out(path, real_root):
            raise InputError(f"{path}: this link leads out of {root}; put the file itself there")
        found.add(path)
    return found


def files_around(root: Path) -> FolderFiles:
    """Return the files in a folder and below it; links, and folders that cannot be listed, are passed over."""
    found = FolderFiles()
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = _open_folders(subfolders)
        for path in (Path(folder) / name for name in sorted(files)):
            if not path.is_symlink():
                found.add(path)
    return found


def why_closed(path: Path) -> str:
    """Return why an image of a kind that is not read is left out, and what to do."""
    return f"{shown_suffix(shown_name(path.name))} is not read; convert it to PNG"


def _leads_out(link: Path, root: Path) -> bool:
    try:
        return not link.resolve().is_relative_to(root)
    except RuntimeError:  # one in a circle, before Python 3.13: nowhere, and left out as a file that cannot be opened
        return False


def _walk(root: Path, visited: list[Path]) -> Iterator[Path]:
    for folder, subfolders, files in os.walk(root, onerror=_raise_unreadable):
        subfolders[:] = _open_folders(subfolders)
        for name in subfolders:
            if (Path(folder) / name).is_symlink():
                raise InputError(
                    f"{Path(folder) / name}: links to folders are not followed; put the folder itself there"
                )
        visited += [Path(folder) / name for name in subfolders]
        yield from (Path(folder) / name for name in sorted(files))


def _open_folders(names: Iterable[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith(".") and name.casefold() not in _HARMLESS_FOLDERS)


def _raise_unreadable(error: OSError) -> None:
    # os.walk would silently skip a folder that may not be listed, with all its patients
    raise InputError(f"{error.filename}: this folder cannot be listed ({error.strerror})") from error


def _matters(path: Path) -> bool:
    return not path.name.startswith(".") and not _is_harmless(path)


def _is_harmless(path: Path) -> bool:
    name = path.name.casefold()
    if name in _HARMLESS:
        return True
    return path.stem.casefold() in _HARMLESS_STEMS and path.suffix.lower() in _TEXT_SUFFIXES


def _holds_an_image(path: Path) -> bool:
    """Tell by content: a PACS exports files without suffix, and scripts write some."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            return looks_like_an_image(stream.read(_HEAD))
    except OSError:
        return False
