"""A data set that was read and checked: its usable images as labelled records, and those left out."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from common.dataset.file_tally import FileTally
from common.dataset.image_source import ImageSource
from common.dataset.split_names import SplitName


@dataclass(frozen=True)
class ImageRecord:
    """One readable image.

    Attributes
    ----------
    name : str
        Path below the data root with "/" separators, or ``train_images[12]``; for humans of this hospital only.
    label : int
        Index into `Dataset.classes`.
    patient : str
        The patient, as given; a split keeps all images of one patient together.
    site : str or None
        Where it was taken, if that is known.
    sha256 : str
        Digest of the file's bytes, or of an array's shape and bytes.
    source : ImageSource
        Its pixels.
    part : SplitName or None
        Of the split that the data bring, used only where the plan asks for it; None where they bring none.
    grey : bool
        It has no colour: what `data.denoise=auto` filters.
    """

    name: str
    label: int
    patient: str
    site: str | None
    sha256: str
    source: ImageSource
    part: SplitName | None = None
    grey: bool = field(kw_only=True)


@dataclass(frozen=True)
class ExcludedImage:
    """An image that is left out, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Dataset:
    """The images of one hospital.

    Attributes
    ----------
    name : str
        Name of the folder, or of the file without suffix.
    classes : tuple of str
        Two: negative, positive. More: sorted by name, numbers by value.
    records : tuple of ImageRecord
        Sorted by name, so that their order does not depend on the file system.
    excluded : tuple of ExcludedImage
        Sorted by name.
    patient_source : str
        Where the patients come from, in words.
    files : FileTally
        What lies there, used or not.
    class_guess : str or None
        In words, where the names leave a doubt which of two classes is the disease; None where they do not, or where
        the user said it.
    remark : str or None
        In words, what the layout's folders or names are taken for, where that is not plain.
    joined : str or None
        In words, which patients count as one, since an image lies identically under several; None where none do.
    moved : str or None
        In words, which patients have images at several sites, and count to one; None where there are none.
    split_source : str or None
        In words, where the split comes from that the data bring; None where they bring none.
    """

    name: str
    classes: tuple[str, ...]
    records: tuple[ImageRecord, ...]
    excluded: tuple[ExcludedImage, ...]
    patient_source: str
    files: FileTally
    class_guess: str | None = None
    remark: str | None = None
    joined: str | None = None
    moved: str | None = None
    split_source: str | None = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever shows a result from these images must tell about how they were read, a sentence each."""
        return tuple(
            note for note in (self.class_guess, self.remark, self.joined, self.moved, *self.files.lines()) if note
        )


def by_name(record: ImageRecord) -> tuple[str, str]:
    """Return the key that sorts records by name; equal names, of two data sets, by content."""
    return record.name, record.sha256


def group_by_patient(records: Iterable[ImageRecord]) -> dict[str, tuple[ImageRecord, ...]]:
    """Group images by patient; patients and their images sorted by name."""
    grouped: defaultdict[str, list[ImageRecord]] = defaultdict(list)
    for record in sorted(records, key=by_name):
        grouped[record.patient].append(record)
    return {patient: tuple(grouped[patient]) for patient in sorted(grouped)}
