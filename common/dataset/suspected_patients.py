"""Reads folders and file names for patients with several images, where nobody said whose image is whose.

What is found here is evidence, no proof: `common.dataset.patients` takes it where all images agree, else it asks.
"""

import re
from collections import Counter
from collections.abc import Sequence

from common.dataset.column_names import names_a_hospital
from common.system.wording import words

# Folders that part images by something else than patients.
_KINDS = words(
    """
    image images img imgs picture pictures photo photos jpg jpeg png tif tiff dcm dicom data raw original originals
    train training val valid validation test testing left right axial coronal sagittal anterior posterior pa ap lateral
    mask masks
    """
)
_DIGIT = re.compile(r"\d")
_PATIENT_WORD = re.compile(
    r"^(?:(?:patient|pat|pt|case|subject|subj|person)[ _-]?\d|p\d|(?:patient|pat|case)[ _-]\w)", re.I
)
# Parts of one patient: below other folders these are no patients, however many they are.
_OF_ONE_PATIENT = re.compile(
    r"^(?:study|series|scan|session|ses|visit|exam|seq|slice|view|day|month|frame)[ _-]?\d+$", re.I
)
_MAGNIFICATION = re.compile(r"^\d+x$", re.IGNORECASE)
# The last part of a name: a running number, with or without a word for what is counted, or a side.
_LAST_PART = re.compile(
    r"^(?P<patient>.*\d.*?)[ _.-]*(?:[ _.-](?:img|image|im|slice|sl|view|frame|scan|pic|photo|v|s|i|t)?[ _.-]?\d{1,4}"
    r"|[ _.-](?:left|right|l|r|od|os|cc|mlo|pa|ap|lat|axial|coronal|sagittal|[a-d]))$",
    re.IGNORECASE,
)
# A surname and a running number: smith_1, van dyke-02; always with a separator, since abc1 may be a digest.
_NAMED = re.compile(r"^(?P<patient>[^\W\d_]{2,}(?:[ _.-][^\W\d_]+)*)[ _.-]+\(?\d{1,4}\)?$")
# A letter behind the number of a patient: P12a, P12b.
_LETTERED = re.compile(r"^(?P<patient>[a-z]*[ _-]?\d+)[a-d]$", re.IGNORECASE)
# The first part of a longer name: 8863_idx5_x101_class0, P01-study2-view1.
_FIRST_PART = re.compile(r"^(?P<patient>[a-z]*[ _-]?\d+[a-z]?)[ _.-].*[a-z0-9]", re.IGNORECASE)
# Days and years, and words for what is numbered, that begin names of images of many patients.
_NO_PATIENT = re.compile(
    r"^(?:[a-z]*[ _-]?(?:19|20)\d\d(?:\d{4})?|(?:fold|set|part|batch|class|grade|t)[ _-]?\d+c?)$", re.IGNORECASE
)
# Below this share of the images, several that share a beginning are a coincidence.
_MOST = 0.5
_LEAST_PATIENTS = 3
# So few words a class before a number are rather names of classes, sides, cameras or sources.
_LEAST_NAMES_A_CLASS = 3


def folders_of_patients(folders: Sequence[tuple[str, ...]]) -> list[str | None]:
    """Return the folder that tells each image's patient.

    Parameters
    ----------
    folders : sequence of tuple of str
        For each image the folders between its class and the file.

    Returns
    -------
    list of (str or None)
        None for an image without such a folder; empty where folders do not tell patients: for fewer than half of the
        images, or since they are too few.
    """
    depth = max(map(len, folders), default=0)
    # Above the patients may stand years, batches or sources: 2023/P01, batch1/P01, set-a2/P01.
    for numbered_parts in (False, True):
        for above in range(depth):
            told = [
                next((name for name in own[above:] if _like_a_patient(name, numbered_parts)), None) for own in folders
            ]
            patients = {name for name in told if name is not None}
            if above and any(map(_OF_ONE_PATIENT.match, patients)):
                continue
            least = 2 if all(map(_PATIENT_WORD.match, patients)) else _LEAST_PATIENTS
            if len(patients) >= least and sum(name is not None for name in told) >= _MOST * len(told):
                return told
    return []


def suspected_patients(stems: Sequence[str | None], labels: Sequence[str]) -> Counter[str | None]:
    """Return the beginnings of names that several images share, as those of one patient do, with their counts.

    A beginning must hold a digit, and most images must share theirs with a few others, not with all: ``P01_1``,
    ``P01_2``, ``P02_1``; not ``img_001``, ``img_002``. Without a digit there must be more of them, as there are of
    surnames: ``smith_1``, ``smith_2``, ``jones_1``. A first part, as in ``8863_x101_y7``, counts where images of one
    class share it, since ``1_normal`` and ``1_tumor`` are numbered anew.

    Parameters
    ----------
    stems : sequence of (str or None)
        File names without suffix.
    labels : sequence of str
        Their classes.

    Returns
    -------
    Counter of str
        Empty where the names tell nothing of the kind.
    """
    without_last = Counter(
        found.group("patient") for stem in stems if stem and (found := _LAST_PART.match(stem) or _LETTERED.match(stem))
    )
    if shared := _shared_by_most(without_last, len(stems)):
        return shared
    by_class = Counter(
        (label, found.group("patient"))
        for stem, label in zip(stems, labels, strict=True)
        if stem and (found := _FIRST_PART.match(stem)) and not _NO_PATIENT.match(found.group("patient"))
    )
    first_parts: Counter[str | None] = Counter()
    for (_, beginning), count in by_class.items():
        if count > 1:
            first_parts[beginning] += count
    if shared := _shared_by_most(first_parts, len(stems)):
        return shared
    named = Counter(found.group("patient") for stem in stems if stem and (found := _NAMED.match(stem)))
    return _shared_by_most(named, len(stems), _LEAST_NAMES_A_CLASS * len(set(labels)))


def _shared_by_most(beginnings: Counter[str | None], images: int, least: int = _LEAST_PATIENTS) -> Counter[str | None]:
    shared = Counter({beginning: count for beginning, count in beginnings.items() if count > 1})
    return shared if len(shared) >= least and shared.total() >= _MOST * images else Counter()


def _like_a_patient(folder: str, numbered_parts: bool) -> bool:
    if folder.casefold() in _KINDS or _MAGNIFICATION.match(folder) or names_a_hospital(folder):
        return False
    if not numbered_parts and _NO_PATIENT.match(folder):
        return False
    return _DIGIT.search(folder) is not None or _PATIENT_WORD.match(folder) is not None
