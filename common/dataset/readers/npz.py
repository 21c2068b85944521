"""A MedMNIST-style ``.npz``: images and labels as NumPy arrays, in parts of a split or not.

The file is a zip of ``.npy`` members. Each member's header is checked before NumPy allocates what it announces, and
nothing in it is ever unpickled. What labels, patients and sites may be called and hold is as in a manifest.
"""

import zipfile
import zlib
from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from common.dataset.column_names import LABELS, PATIENTS, SITES, matching, may_name_patients, usual
from common.dataset.image_source import ArraySource
from common.dataset.listing import ListedImage, Listing
from common.dataset.readers.csv_values import check_names, check_one_for_all, label_of, patient_of, value_of
from common.dataset.settings import DEFAULT_SETTINGS, DatasetSettings
from common.dataset.split_names import SplitName
from common.errors import InputError
from common.imaging.limits import ImageLimits

_PREFIXES: dict[str, SplitName | None] = {
    "": None,
    "train_": "train",
    "val_": "validation",
    "valid_": "validation",
    "validation_": "validation",
    "test_": "test",
}
_LABELS = f"labels {LABELS}"
_PATIENTS = f"patients subjects groups {PATIENTS}"
_SITES = f"sites hospitals centers {SITES}"


def list_npz(path: Path, settings: DatasetSettings, limits: ImageLimits) -> Listing:
    """List the images of an ``.npz``.

    Arrays ``images`` (N, H, W) or (N, H, W, 1 or 3) of uint8 and ``labels`` (N,) or (N, 1) of whole numbers or
    texts, each plain or as ``train_images``, ``train_labels``, ``val_...``, ``test_...``. Optional: patients and sites
    (N,), by any of the names that a manifest's columns may have, or by those that the settings give.

    Parameters
    ----------
    path : Path
        The file.
    settings : DatasetSettings
        Patient and site columns.
    limits : ImageLimits
        `max_archive_bytes` for each array, `max_pixels` for each image.

    Returns
    -------
    Listing
        Images named ``train_images[12]``; their pixels are views of the arrays, which stay in memory.

    Raises
    ------
    InputError
        The file is damaged or too large, an array is missing, or has a shape or type that is not read.
    """
    arrays = _Archive(path, limits)
    prefixes = [prefix for prefix in _PREFIXES if f"{prefix}images" in arrays.names]
    if not prefixes:
        raise InputError(f"{path}: no array 'images' or 'train_images'; the arrays there are {arrays.shown()}")
    names = _Names(arrays, prefixes, settings)
    listed: list[ListedImage] = []
    split = "train_" in prefixes and "" not in prefixes
    for prefix in prefixes:
        part = _PREFIXES[prefix] if split else None
        images = _images(arrays, f"{prefix}images", limits)
        read = [
            [None] * len(images) if name is None else _values(arrays, prefix + name, len(images), value)
            for name, value in ((names.labels, label_of), (names.patients, patient_of), (names.sites, value_of))
        ]
        for i, (image, label, patient, site) in enumerate(zip(images, *read, strict=True)):
            name = f"{prefix}images[{i}]"
            listed.append(ListedImage(name, None, str(label), patient, site, ArraySource(image), part=part))
    if not listed:
        raise InputError(f"{path}: no images; its arrays of images are empty")
    check_names(str(path), [(number, image) for number, image in enumerate(listed, start=1)], settings)
    patient_source = None
    if names.patients is not None:
        check_one_for_all(str(path), names.patients, [str(image.patient) for image in listed])
        patient_source = f"array {names.patients!r}"
    return Listing(
        listed,
        [],
        patient_source,
        remark=names.unread(),
        split_source=f"arrays {', '.join(f'{prefix}images' for prefix in prefixes)}" if split else None,
    )


class _Names:
    """Which arrays hold the labels, patients and sites, without the prefix that parts of a split have."""

    def __init__(self, arrays: "_Archive", prefixes: Sequence[str], settings: DatasetSettings) -> None:
        self._arrays = arrays
        self._prefixes = prefixes
        self._there = sorted(
            {name.removeprefix(prefix) for prefix in prefixes for name in arrays.names if name.startswith(prefix)}
            - {"images"}
        )
        self.labels = self._asked("label", settings.label_column, DEFAULT_SETTINGS.label_column, _LABELS) or "labels"
        patients = settings.patient_column
        self.patients = None if patients == "none" else self._asked("patient", patients, "auto", _PATIENTS)
        self.sites = self._asked("site", settings.site_column, DEFAULT_SETTINGS.site_column, _SITES)
        if self.patients is None and patients == "auto":
            self._refuse_what_may_be_patients()

    def _asked(self, what: str, name: str, default: str, usual_names: str) -> str | None:
        found = matching(self._there, name) or (usual(self._there, usual_names) if name == default else [])
        if not found:
            if name == default:
                return None
            raise InputError(f"{self._arrays.path}: no array {name!r}; the arrays there are {self._arrays.shown()}")
        lacking = [prefix for prefix in self._prefixes if prefix + found[0] not in self._arrays.names]
        if lacking:
            raise InputError(
                f"{self._arrays.path}: no array {lacking[0] + found[0]!r}, which others of the split have; give the "
                f"{what} for all images or for none"
            )
        return found[0]

    def _refuse_what_may_be_patients(self) -> None:
        for name in self._there:
            if may_name_patients(name):
                raise InputError(
                    f"{self._arrays.path}: the array {name!r} may tell the patient; name it in data.patient_column, or "
                    "set that to 'none' if it does not"
                )

    def unread(self) -> str | None:
        """Say which arrays are not read."""
        read = {"images", self.labels, self.patients, self.sites}
        known = {f"{prefix}{name}" for prefix in self._prefixes for name in read}
        left = sorted(self._arrays.names - known)
        return f"arrays that are not read: {', '.join(map(repr, left))}" if left else None


class _Archive:
    """The arrays of one ``.npz``, each read after its header was checked."""

    def __init__(self, path: Path, limits: ImageLimits) -> None:
        self.path = path
        self._limit = limits.max_archive_bytes
        try:
            with zipfile.ZipFile(path) as archive:
                self.names = {name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")}
        except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: is no .npz file, or is damaged ({type(error).__name__})") from error

    def shown(self) -> str:
        return ", ".join(repr(name) for name in sorted(self.names)) or "none"

    def read(self, name: str) -> NDArray[Any]:
        if name not in self.names:
            raise InputError(f"{self.path}: no array {name!r}; the arrays there are {self.shown()}")
        try:
            with zipfile.ZipFile(self.path) as archive:
                with archive.open(f"{name}.npy") as member:
                    self._check_header(name, member)
                with archive.open(f"{name}.npy") as member:
                    array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
        except InputError:
            raise
        except (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"{self.path}: the array {name!r} is damaged ({type(error).__name__})") from error
        array.flags.writeable = False
        return array

    def _check_header(self, name: str, member: IO[bytes]) -> None:
        version = npy.read_magic(member)
        if version not in ((1, 0), (2, 0)):
            raise InputError(
                f"{self.path}: the array {name!r} is of an unknown .npy version; save it anew with numpy.savez"
            )
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(member)
        if dtype.hasobject:
            raise InputError(
                f"{self.path}: the array {name!r} holds Python objects, which are never unpickled; save it as "
                "numbers or texts"
            )
        size = prod(shape) * dtype.itemsize
        if size > self._limit:
            raise InputError(
                f"{self.path}: the array {name!r} unpacks to {size:,} bytes, more than the limit of {self._limit:,}; "
                "save the images as files with a manifest.csv"
            )


def _images(arrays: _Archive, name: str, limits: ImageLimits) -> NDArray[np.uint8]:
    images = arrays.read(name)
    what = f"{arrays.path}: the array {name!r} has shape {images.shape}"
    if images.dtype != np.uint8:
        raise InputError(f"{arrays.path}: the array {name!r} is of type {images.dtype}; rarefed reads uint8")
    if images.ndim == 5 or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise InputError(
            f"{what}, which are volumes or unknown channels; rarefed reads pictures (N, H, W) or (N, H, W, 3)"
        )
    if images.ndim not in (3, 4) or 0 in images.shape[1:]:
        raise InputError(f"{what}; rarefed reads pictures (N, H, W) or (N, H, W, 3)")
    if images.shape[1] * images.shape[2] > limits.max_pixels:
        raise InputError(f"{what}, more pixels in one image than the limit of {limits.max_pixels:,}")
    return images


def _values(arrays: _Archive, name: str, count: int, value: Callable[[str, str, str], str]) -> list[str]:
    """Return an array's entries as a manifest's cells are read."""
    texts = _column(arrays, name, count)
    return [value(f"{arrays.path} index {index}", name, text) for index, text in enumerate(texts)]


def _column(arrays: _Archive, name: str, count: int) -> list[str]:
    """Return an array (N,) or (N, 1) of whole numbers or texts as texts."""
    values = arrays.read(name)
    what = f"{arrays.path}: the array {name!r}"
    if values.ndim == 2 and values.shape[1] > 1:
        raise InputError(
            f"{what} has {values.shape[1]} values an image; rarefed reads one label an image, no multi-label data"
        )
    if values.ndim not in (1, 2) or values.size != count:
        raise InputError(f"{what} has shape {values.shape} for {count} images; it must hold one value an image")
    flat = values.reshape(-1)
    if flat.dtype.kind not in "biuUS":
        raise InputError(f"{what} is of type {flat.dtype}; rarefed reads whole numbers or texts")
    texts = flat.astype(np.int64) if flat.dtype.kind == "b" else flat
    shown = [
        value.decode("utf-8", "replace").strip() if isinstance(value, bytes) else str(value).strip()
        for value in texts.tolist()
    ]
    if not all(shown):
        raise InputError(f"{what} is empty at index {shown.index('')}; fill it in")
    return shown
