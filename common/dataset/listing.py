"""What a hospital's data is before its labels are checked: where pixels come from, and what was listed."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from common.imaging.decode import DEFAULT_LIMITS, ImageLimits, decode_image, read_bytes, read_image


class ImageSource(Protocol):
    """Where one image's pixels come from."""

    def pixels(self) -> NDArray[np.uint8]:
        """Return the image as RGB, shape (H, W, 3), 0..255; raise `common.imaging.decode.ImageError` if that fails."""
        ...

    def verify(self) -> str:
        """Decode the image once and return the SHA-256 of its content; raise `ImageError` if that fails."""
        ...


@dataclass(frozen=True)
class FileSource:
    """An image file, read anew each time.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        How errors call it.
    limits : ImageLimits
        What it may cost.
    """

    path: Path
    name: str
    limits: ImageLimits = DEFAULT_LIMITS

    def pixels(self) -> NDArray[np.uint8]:
        """Read and decode the file; shape (H, W, 3), RGB."""
        return read_image(self.path, self.limits, self.name)

    def verify(self) -> str:
        """Read the file once, decode it, and return the SHA-256 of its bytes."""
        data = read_bytes(self.path, self.name, self.limits)
        decode_image(data, self.name, self.limits)
        return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True, eq=False)  # arrays have no truth value to compare or hash by
class ArraySource:
    """One image of an array that is in memory, because a compressed ``.npz`` cannot be read in parts.

    Attributes
    ----------
    image : ndarray of uint8, shape (H, W), (H, W, 1) or (H, W, 3)
        Grey or RGB.
    """

    image: NDArray[np.uint8] = field(repr=False)

    def pixels(self) -> NDArray[np.uint8]:
        """Return a copy as RGB, shape (H, W, 3)."""
        stacked = self.image[:, :, None] if self.image.ndim == 2 else self.image
        return np.array(np.broadcast_to(stacked, (*stacked.shape[:2], 3)))

    def verify(self) -> str:
        """Return the SHA-256 of the image's shape and bytes."""
        shape = "x".join(str(length) for length in self.image.shape)
        return hashlib.sha256(shape.encode() + b":" + np.ascontiguousarray(self.image).tobytes()).hexdigest()


@dataclass(frozen=True)
class Candidate:
    """One image as listed, before it is read.

    Attributes
    ----------
    name : str
        Path below the data root with "/" separators, or ``train_images[12]``.
    stem : str or None
        The file's name without its suffix, which may tell the patient; None where there is no file name.
    label : str
        Name of its class.
    patient, site : str or None
        As given by a column or an array; None where there is none.
    source : ImageSource
        Its pixels.
    """

    name: str
    stem: str | None
    label: str
    patient: str | None
    site: str | None
    source: ImageSource


@dataclass(frozen=True)
class Listing:
    """Everything that one data set lists.

    Attributes
    ----------
    candidates : list of Candidate
        In no particular order.
    left_out : list of (name, reason)
        Images that the layout itself leaves out.
    patient_source : str or None
        Where `Candidate.patient` comes from, in words; None where it comes from nowhere.
    """

    candidates: list[Candidate]
    left_out: list[tuple[str, str]]
    patient_source: str | None


@dataclass(frozen=True)
class ManifestSettings:
    r"""How a data set says which image is whose.

    Attributes
    ----------
    path_column, label_column : str
        Columns of a CSV manifest.
    patient_column : str
        "auto" takes the first present of patient, patient_id, lesion_id; "none" takes no column; any other value is a
        column (or an array of an ``.npz``) that must be there.
    site_column : str
        Column of the site; it may be absent as long as this is the default.
    patient_pattern : str
        Used where no column tells the patient: a regular expression searched in the file's name without suffix; its one
        group, or without group the whole match, is the patient. "auto": when every name matches ``^(\d{4,})_\d{1,3}$``,
        the number is the patient, otherwise each image is its own patient. "none": each image is its own patient.
    positive : str
        Of two classes, the one that counts as diseased. "auto" goes by telling names, see `common.dataset.classes`.
    classes : tuple of str
        All classes in label order, where a federation agreed on them; empty: those that the data hold.
    """

    path_column: str = "path"
    label_column: str = "label"
    patient_column: str = "auto"
    site_column: str = "site"
    patient_pattern: str = "auto"
    positive: str = "auto"
    classes: tuple[str, ...] = ()


def shown_name(name: str) -> str:
    """Make a file's name fit to print and to write to JSON, even where its bytes are no UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


DEFAULT_SETTINGS = ManifestSettings()
DEFAULT_SITE_COLUMN = DEFAULT_SETTINGS.site_column
PATIENT_COLUMNS = ("patient", "patient_id", "lesion_id")
