"""The images of a data set as a reader lists them, before any is read and before the labels are checked."""

import os
from dataclasses import dataclass, field

from common.dataset.image_source import ImageSource
from common.dataset.split_names import SplitName


@dataclass(frozen=True)
class ListedImage:
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
    folders : tuple of str
        Names of the folders between its class, or a manifest's own folder, and the file.
    part : SplitName or None
        Of the split that the data bring; None where they bring none.
    """

    name: str
    stem: str | None
    label: str
    patient: str | None
    site: str | None
    source: ImageSource
    folders: tuple[str, ...] = ()
    part: SplitName | None = None


@dataclass(frozen=True)
class Listing:
    """All images of one data set.

    Attributes
    ----------
    images : list of ListedImage
        In no particular order.
    left_out : list of (name, reason)
        Images that the layout itself leaves out.
    patient_source : str or None
        Where `ListedImage.patient` comes from, in words; None if no image has one.
    others : list of str
        Names of files there that are no images.
    remark : str or None
        What folders or names are taken for, in words, where that is not plain.
    split_source : str or None
        Where `ListedImage.part` comes from, in words; None where no image has one.
    """

    images: list[ListedImage]
    left_out: list[tuple[str, str]]
    patient_source: str | None
    others: list[str] = field(default_factory=list)
    remark: str | None = None
    split_source: str | None = None


def shown_name(name: str) -> str:
    """Return a file's name as valid Unicode, fit for printing and JSON; undecodable bytes become replacement marks."""
    return os.fsencode(name).decode("utf-8", "replace")
