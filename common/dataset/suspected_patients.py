"""Reads folders and file names for patients with several images, where nobody said whose image is whose.

What is found here is evidence, no proof: `common.dataset.patients` takes it where all images agree, else it asks.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence

from common.dataset.class_names import speaks_of_health
from common.dataset.column_names import names_a_hospital
from common.dataset.listing import ListedImage
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
_SIDES = "left|right|od|os|pre|post|before|after|links|rechts"
# The last part of a name: a running number, with or without a word for what is counted, or a side.
_LAST_PART = re.compile(
    r"^(?P<patient>.*\d.*?)[ _.-]*(?:[ _.-](?:img|image|im|slice|sl|view|frame|scan|pic|photo|v|s|i|t)?[ _.-]?\d{1,4}"
    rf"|[ _.-](?:{_SIDES}|l|r|cc|mlo|pa|ap|lat|axial|coronal|sagittal|[a-d]))$",
    re.IGNORECASE,
)
# A surname and a running number: smith_1, van dyke-02; always with a separator, since abc1 may be a digest.
_NAMED = re.compile(r"^(?P<patient>[^\W\d_]{2,}(?:[ _.-][^\W\d_]+)*)[ _.-]+\(?\d{1,4}\)?$")
# A letter or a side behind the number of a patient: P12a, P12b, 001L, 001pre.
_LETTERED = re.compile(rf"^(?P<patient>[a-z]*[ _-]?\d+)(?:[a-d]|l|r|{_SIDES})$", re.IGNORECASE)
# A side behind a name or before what is the patient: smith_left, left_001.
_SIDED = re.compile(rf"^(?:(?P<name>.+)[ _.-](?:{_SIDES})|(?:{_SIDES}|l|r)[ _.-](?P<patient>.+))$", re.IGNORECASE)
# The first part of a longer name: 8863_idx5_x101_class0, P01-study2-view1.
_FIRST_PART = re.compile(r"^(?P<patient>[a-z]*[ _-]?\d+[a-z]?)[ _.-].*[a-z0-9]", re.IGNORECASE)
# A word for patients further behind: slice0_P001.
_WORDED = re.compile(
    r"[ _.-](?P<patient>(?:patient|pat|pt|case|subject|subj|person|p)[ _-]?\d+)(?:[ _.-]|$)", re.IGNORECASE
)
# Days and years, and words for what is numbered, that begin names of images of many patients.
_NO_PATIENT = re.compile(
    r"^(?:[a-z]*[ _-]?(?:19|20)\d\d(?:\d{4})?|(?:fold|set|part|batch|lot|class|grade|stage|level|t|type|subtype|year|"
    r"scanner|device|camera|slice|sl|view|frame|img|image|scan|series)[ _-]?\d+c?)$",
    re.IGNORECASE,
)
# Below this share of the images, several that share a beginning are a coincidence.
_MOST = 0.5
_LEAST_PATIENTS = 3
# So few words a class before a number are rather names of classes, sides, cameras or sources.
_LEAST_NAMES_A_CLASS = 3
# Folders that are so few and so full, and lie below several classes, are rather devices, years or hospitals.
_FEW = 5
# So few names may lie in several classes, as patients with two findings do.
_FEW_SHARED = 0.2
_FULL = 20


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
    told = _numbered_folders(folders, numbered_parts=False)
    return [] if not told or _few_and_full(told) or _below_several(told, folders) else told


def suspected_folders(folders: Sequence[tuple[str, ...]], labels: Sequence[str]) -> list[str | None]:
    """Return the folder that may tell each image's patient, where `folders_of_patients` finds none.

    Numbered like years or devices, or few and full; or without a number, but many in each class, and each in one class
    alone, as patients are: ``sick/smith``.

    Parameters
    ----------
    folders : sequence of tuple of str
        For each image the folders between its class and the file.
    labels : sequence of str
        Their classes.

    Returns
    -------
    list of (str or None)
        None for an image without such a folder; empty where folders tell nothing of the kind.
    """
    return _numbered_folders(folders, numbered_parts=True) or _unnumbered_folders(folders, labels)


def _numbered_folders(folders: Sequence[tuple[str, ...]], *, numbered_parts: bool) -> list[str | None]:
    # Above the patients may stand years, batches or sources: 2023/P01, batch1/P01, set-a2/P01.
    for above in range(max(map(len, folders), default=0)):
        told = [next((name for name in own[above:] if _like_a_patient(name, numbered_parts)), None) for own in folders]
        patients = {name for name in told if name is not None}
        if above and any(map(_OF_ONE_PATIENT.match, patients)):
            continue
        least = 2 if all(map(_PATIENT_WORD.match, patients)) else _LEAST_PATIENTS
        if len(patients) >= least and sum(name is not None for name in told) >= _MOST * len(told):
            return told
    return []


def _few_and_full(told: Sequence[str | None]) -> bool:
    counts = Counter(name for name in told if name is not None)
    return 0 < len(counts) <= _FEW and not any(map(_PATIENT_WORD.match, counts)) and min(counts.values()) > _FULL


def _below_several(told: Sequence[str | None], folders: Sequence[tuple[str, ...]]) -> bool:
    """Tell whether one patient lies below several folders that may be hospitals: Berlin/P1 and Munich/P1."""
    above: defaultdict[str, set[tuple[str, ...]]] = defaultdict(set)
    for name, own in zip(told, folders, strict=True):
        if name is not None:
            places = own[: own.index(name)]
            above[name].add(tuple(part for part in places if not (part.casefold() in _KINDS or _DIGIT.search(part))))
    return any(len(places) > 1 for places in above.values())


def _unnumbered_folders(folders: Sequence[tuple[str, ...]], labels: Sequence[str]) -> list[str | None]:
    for depth in range(max(map(len, folders), default=0)):
        told = [own[depth] if len(own) > depth else None for own in folders]
        classes_of: defaultdict[str, set[str]] = defaultdict(set)
        for name, label in zip(told, labels, strict=True):
            if name is not None:
                classes_of[name].add(label)
        counts = Counter(name for name in told if name is not None)
        like_names = not any(
            name.casefold() in _KINDS or names_a_hospital(name) or speaks_of_health(name) for name in counts
        )
        in_several = sum(len(classes) > 1 for classes in classes_of.values())
        in_each_class = Counter(label for classes in classes_of.values() for label in classes)
        many = all(in_each_class[label] >= _LEAST_NAMES_A_CLASS for label in set(labels))
        several = sum(count for count in counts.values() if count > 1)
        if like_names and in_several <= _FEW_SHARED * len(counts) and many and several >= _MOST * len(told):
            return told
    return []


def suspected_patients(images: Sequence[ListedImage]) -> Counter[str | None]:
    """Return the beginnings of names that several images share, as those of one patient do, with their counts.

    A beginning must hold a digit, and most images must share theirs with a few others, not with all: ``P01_1``,
    ``P01_2``, ``P02_1``; not ``img_001``, ``img_002``. Without a digit there must be more of them, as there are of
    surnames: ``smith_1``, ``smith_2``, ``jones_1``. A first part, as in ``8863_x101_y7``, counts where images of one
    class share it, since ``1_normal`` and ``1_tumor`` are numbered anew.

    Parameters
    ----------
    images : sequence of ListedImage
        Their stems, classes and folders are read.

    Returns
    -------
    Counter of str
        Empty where the names tell nothing of the kind.
    """
    for beginnings, least in _beginnings(images):
        if shared := _shared_by_most(beginnings, len(images), least):
            return shared
    return Counter()


def _beginnings(images: Sequence[ListedImage]) -> Iterator[tuple[Counter[str | None], int]]:
    """Yield, for each way to read names, the patients that they tell with their counts, and how many there must be."""
    known = [(image.stem, image.label) for image in images if image.stem]
    yield _found(_LAST_PART.match(stem) or _LETTERED.match(stem) for stem, _ in known), _LEAST_PATIENTS
    first_parts = (
        (label, found.group("patient"))
        for stem, label in known
        if (found := _FIRST_PART.match(stem)) and not _NO_PATIENT.match(found.group("patient"))
    )
    yield _of_one_class(first_parts), _LEAST_PATIENTS
    yield _found(_WORDED.search(stem) for stem, _ in known), _LEAST_PATIENTS
    sided = [found for stem, _ in known if (found := _SIDED.match(stem))]
    yield Counter(found["name"] or found["patient"] for found in sided), _LEAST_PATIENTS
    yield _of_one_class(_originals(images)), _LEAST_PATIENTS
    yield _found(_NAMED.match(stem) for stem, _ in known), _LEAST_NAMES_A_CLASS * len({image.label for image in images})


def _found(matches: Iterable[re.Match[str] | None]) -> Counter[str | None]:
    return Counter(found.group("patient") for found in matches if found)


def _of_one_class(names: Iterable[tuple[Hashable, str]]) -> Counter[str | None]:
    """Count what several images of one class or folder share: ``1_normal`` and ``1_tumor`` are numbered anew."""
    shared: Counter[str | None] = Counter()
    for (_, name), count in Counter(names).items():
        if count > 1:
            shared[name] += count
    return shared


def _originals(images: Sequence[ListedImage]) -> Iterator[tuple[Hashable, str]]:
    """Yield folder and name of the image of which each is another version: ``x_flip`` and ``x - Copy`` of ``x``."""
    known = [((image.label, image.folders), image.stem) for image in images if image.stem]
    there = set(known)
    for place, stem in known:
        ends = [end for end in range(1, len(stem)) if stem[end] in " _.-(" and (place, stem[:end].rstrip()) in there]
        yield place, stem[: ends[0]].rstrip() if ends else stem


def _shared_by_most(beginnings: Counter[str | None], images: int, least: int = _LEAST_PATIENTS) -> Counter[str | None]:
    shared = Counter({beginning: count for beginning, count in beginnings.items() if count > 1})
    return shared if len(shared) >= least and shared.total() >= _MOST * images else Counter()


def _like_a_patient(folder: str, numbered_parts: bool) -> bool:
    if folder.casefold() in _KINDS or _MAGNIFICATION.match(folder) or names_a_hospital(folder):
        return False
    if not numbered_parts and _NO_PATIENT.match(folder):
        return False
    return _DIGIT.search(folder) is not None or _PATIENT_WORD.match(folder) is not None
