"""Reads each image once, and keeps what the checks need of it, but not its pixels."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from client.preflight.fingerprint import Fingerprint
from client.preflight.lettering import count_letters
from client.preflight.metadata import identifying_fields
from common.dataset.decoded_index import Seen, decoded_index, file_state
from common.dataset.file_tally import FileTally, tally_files
from common.dataset.image_source import FileSource, Verified
from common.dataset.listing import ListedImage
from common.dataset.loading import list_images
from common.dataset.patients import name_patients
from common.dataset.settings import DatasetSettings
from common.imaging.colour import has_colour
from common.imaging.decode import decode_file, read_bytes
from common.imaging.errors import ImageError

Advance = Callable[[int, int], None]
"""Called after each image with the number of images done, and of all images."""


@dataclass(frozen=True, eq=False)
class Picture:
    """What is kept of one readable image.

    Attributes
    ----------
    name, label : str
        As listed.
    patient : str or None
        The patient that training assumes; None where each image counts as its own patient.
    sha256 : str
        Digest of the content.
    several_frames : bool
        It has further frames or pages, which are not read.
    width, height : int
        In pixels.
    colour : bool
        Whether its channels differ.
    spread : float
        Standard deviation of grey values, 0..128.
    clipped : float
        Share of pixels that are fully black or fully white.
    letters : int
        Number of letter-like shapes in the longest row.
    fields : tuple of str
        Kinds of metadata that may identify a patient.
    fingerprint : Fingerprint
        Tells images that look alike.
    """

    name: str
    label: str
    patient: str | None
    sha256: str
    several_frames: bool
    width: int
    height: int
    colour: bool
    spread: float
    clipped: float
    letters: int
    fields: tuple[str, ...]
    fingerprint: Fingerprint


class Needs(NamedTuple):
    """What the hospital's file asks of the number of its images.

    Attributes
    ----------
    images : int
        How many it trains on at least; 0 where nobody asks.
    train_share : float
        Share of the images that is for training and not for testing.
    least_train_share : float
        The same where a plan holds back patients to compare rounds by.
    """

    images: int = 0
    train_share: float = 1.0
    least_train_share: float = 1.0


NO_NEEDS = Needs()
"""Where nobody asks."""


@dataclass(frozen=True)
class Survey:
    """All images of a hospital, as the checks see them.

    Attributes
    ----------
    path : Path
        Where the images are.
    settings : DatasetSettings
        How the data set was read.
    needs : Needs
        How many images the hospital's file asks for.
    labels : tuple of str
        Classes that are listed, also those of which no image can be read.
    pictures : tuple of Picture
        Sorted by name.
    left_out : tuple of (name, reason)
        Images that training will leave out.
    patients_known : bool
        False where each image counts as a patient of its own.
    patient_source : str
        How the patients were found, in words.
    files : FileTally
        What lies there, used or not.
    remark : str or None
        In words, what the layout's folders or names are taken for, where that is not plain.
    """

    path: Path
    settings: DatasetSettings
    needs: Needs
    labels: tuple[str, ...]
    pictures: tuple[Picture, ...]
    left_out: tuple[tuple[str, str], ...]
    patients_known: bool
    patient_source: str
    files: FileTally
    remark: str | None = None


def survey_images(
    path: Path, settings: DatasetSettings, *, needs: Needs = NO_NEEDS, advance: Advance | None = None
) -> Survey:
    """Read every image that training would use.

    Parameters
    ----------
    path : Path
        Of the data set, as `load_dataset` takes it.
    settings : DatasetSettings
        How to read it.
    needs : Needs
        How many images the hospital's file asks for.
    advance : callable, optional
        Called after each image.

    Raises
    ------
    InputError
        If nothing can be listed: no such folder, no images, a faulty manifest or patient pattern.
    """
    listing = list_images(path, settings)
    patients, source = name_patients(str(path), listing, settings)
    known = sorted(zip(listing.images, patients, strict=True), key=lambda each: each[0].name)
    pictures: list[Picture] = []
    told: list[tuple[str, Seen]] = []
    of_files: list[tuple[FileSource, str, Seen]] = []
    for done, (image, patient) in enumerate(known, start=1):
        state = file_state(image.source) if isinstance(image.source, FileSource) else ""
        try:
            picture = _look_at(image, patient)
        except ImageError as error:
            it: Seen = error
        else:
            pictures.append(picture)
            it = Verified(picture.sha256, picture.several_frames, grey=not picture.colour)
        told.append((image.name, it))
        if isinstance(image.source, FileSource):
            of_files.append((image.source, state, it))
        if advance is not None:
            advance(done, len(known))
    if index := decoded_index():
        index.remember(of_files)  # a training that follows need not decode them again
    unreadable = [(name, it.reason) for name, it in told if isinstance(it, ImageError)]
    return Survey(
        path=path,
        settings=settings,
        needs=needs,
        labels=tuple(sorted({image.label for image in listing.images})),
        pictures=tuple(pictures),
        left_out=tuple(sorted([*listing.left_out, *unreadable])),
        patients_known=any(patient is not None for patient in patients),
        patient_source=source,
        files=tally_files(listing, told),
        remark=listing.remark,
    )


def _look_at(image: ListedImage, patient: str | None) -> Picture:
    source = image.source
    fields: tuple[str, ...] = ()
    if isinstance(source, FileSource):
        # Not with verify() and pixels(), each of which would read the file again.
        content = read_bytes(source.path, source.name, source.limits)
        pixels, several_frames = decode_file(content, source.name, source.limits)
        digest = hashlib.sha256(content).hexdigest()
        fields = identifying_fields(content, source.name)
    else:
        verified, pixels = source.verify(), source.pixels()
        digest, several_frames = verified.sha256, verified.several_frames
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    return Picture(
        name=image.name,
        label=image.label,
        patient=patient,
        sha256=digest,
        several_frames=several_frames,
        width=pixels.shape[1],
        height=pixels.shape[0],
        colour=has_colour(pixels),
        spread=float(grey.std()),
        clipped=float(np.mean((grey == 0) | (grey == 255))),
        letters=count_letters(pixels),
        fields=fields,
        fingerprint=Fingerprint.of(pixels),
    )
