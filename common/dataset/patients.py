"""Finds the patient of each image: from a column, from folders, from the file's name, or unknown.

A patient's name means one person throughout a data set, whichever class or hospital an image of him lies in. Where
nothing is said and the names look as if they told patients, but not plainly, rarefed stops and asks: a patient who is
parted between training and test makes every result too good.
"""

import re
from collections import Counter
from collections.abc import Sequence

from common.dataset.listing import ListedImage, Listing
from common.dataset.settings import DatasetSettings
from common.dataset.suspected_patients import folders_of_patients, suspected_folders, suspected_patients
from common.errors import InputError

_NUMBERED = re.compile(r"^(\d{4,})_\d{1,3}$", re.ASCII)


def name_patients(where: str, listing: Listing, settings: DatasetSettings) -> tuple[list[str | None], str]:
    """Find each image's patient.

    A column or pattern that the settings name takes precedence over what is found automatically: a column, folders of
    patients below the classes, numbered file names.

    Parameters
    ----------
    where : str
        What errors call the data set.
    listing : Listing
        The images.
    settings : DatasetSettings
        `patient_column` and `patient_pattern`.

    Returns
    -------
    patients : list of (str or None)
        One per image; None where each image is its own patient.
    source : str
        In words, where they come from.

    Raises
    ------
    InputError
        Column and pattern are both asked for; the pattern is no regular expression, has several groups, or misses a
        name; or most names look like those of patients with several images, and the settings do not say whether.
    """
    images = listing.images
    pattern_asked = settings.patient_pattern not in ("auto", "none")
    if pattern_asked and settings.patient_column not in ("auto", "none"):
        raise InputError(
            f"{where}: the patient is asked for by column {settings.patient_column!r} and by pattern "
            f"{shown_pattern(settings.patient_pattern)}; set one of the two to 'none'"
        )
    if pattern_asked:
        pattern = _compiled(settings.patient_pattern)
        return _by_pattern(where, images, pattern), f"file names by pattern {shown_pattern(settings.patient_pattern)}"
    if listing.patient_source is not None:
        return [image.patient for image in images], listing.patient_source
    if "none" in (settings.patient_column, settings.patient_pattern):
        return [None] * len(images), "each image its own patient"
    return _by_evidence(where, images)


def _by_evidence(where: str, images: Sequence[ListedImage]) -> tuple[list[str | None], str]:
    """Name patients by folders or numbered files that leave no doubt; refuse what leaves one."""
    folders = folders_of_patients([image.folders for image in images])
    if folders and all(folders):
        return folders, "folders below the classes"
    numbered = [image.stem is not None and _NUMBERED.match(image.stem) is not None for image in images]
    if all(numbered):
        return _by_pattern(where, images, _NUMBERED), f"file names by pattern {shown_pattern(_NUMBERED.pattern)}"
    folders = folders or suspected_folders([image.folders for image in images], [image.label for image in images])
    told = Counter(folders) if folders else suspected_patients(images)
    told.pop(None, None)
    if not told and 2 * sum(numbered) > len(images):
        told = Counter(patient for patient in _numbers(images) if patient)
    if told:
        example, count = max(told.items(), key=lambda each: (each[1], each[0]))
        pattern = _pattern_of_folder(images, folders, example) if folders else _pattern_of_name(str(example), images)
        raise InputError(
            f"{where}: {told.total()} of {len(images)} images look as if their names told the patient ({count} of "
            f"{example!r}), but not plainly; name a column, set data.patient_pattern to a regular expression"
            f"{f' such as {shown_pattern(pattern)}' if pattern else ''}, or set data.patient_column to 'none' if each "
            "image is of another patient"
        )
    return [None] * len(images), "each image its own patient"


def shown_pattern(pattern: str) -> str:
    """Return a regular expression as it can be copied."""
    return f"'{pattern}'"


def _pattern_of_folder(images: Sequence[ListedImage], told: Sequence[str | None], patient: str | None) -> str:
    """Return a pattern that finds a patient in the folders of his images."""
    depth = next(image.folders.index(patient) for image, name in zip(images, told, strict=True) if name == patient)
    return f"^{'[^/]+/' * depth}([^/]+)/"


def _pattern_of_name(patient: str, images: Sequence[ListedImage]) -> str | None:
    """Return a pattern that finds this patient in the names of his images; None where none of the usual ones does."""
    own = [image.stem for image in images if image.stem and patient in image.stem]
    patterns = ("^([^ _.-]+)", "^(.+)[_-]", r"^(.*\d)", "^[^ _.-]+[ _.-]([^ _.-]+)", "^(.+)[ _.-][^ _.-]+$")
    fitting = (each for each in patterns if all((m := re.search(each, stem)) and m[1] == patient for stem in own))
    return next(fitting, None)


def _numbers(images: Sequence[ListedImage]) -> list[str | None]:
    found = [None if image.stem is None else _NUMBERED.match(image.stem) for image in images]
    return [match.group(1) if match else None for match in found]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"patient pattern {shown_pattern(pattern)}: is no regular expression ({error})") from error
    if compiled.groups > 1:
        raise InputError(
            f"patient pattern {shown_pattern(pattern)}: has {compiled.groups} groups; keep one, write the others as "
            "(?:...)"
        )
    return compiled


def _by_pattern(where: str, images: Sequence[ListedImage], pattern: re.Pattern[str]) -> list[str | None]:
    patients: list[str | None] = []
    missed: list[str] = []
    for image in images:
        # A pattern that misses the file's name may mean the folder: patient12/slice3
        places = [] if image.stem is None else [image.stem, "/".join([*image.folders, image.stem])]
        found = next((match for match in map(pattern.search, places) if match), None)
        patient = found.group(pattern.groups) if found else None  # group 0 is the whole match
        if not patient:
            missed.append(image.name)
        patients.append(patient)
    if missed:
        further = f" and {len(missed) - 1} further" if len(missed) > 1 else ""
        raise InputError(
            f"{where}: the patient pattern {shown_pattern(pattern.pattern)} finds no patient in {missed[0]!r}{further};"
            " mend the pattern, or set it to 'none'"
        )
    return patients
