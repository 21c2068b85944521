"""Finds the patient of each image: from a column, from the file's name, or unknown."""

import re
from collections.abc import Sequence

from common.dataset.listing import ListedImage, Listing
from common.dataset.settings import DatasetSettings
from common.errors import InputError

_NUMBERED = re.compile(r"^(\d{4,})_\d{1,3}$", re.ASCII)


def name_patients(where: str, listing: Listing, settings: DatasetSettings) -> tuple[list[str | None], str]:
    """Find each image's patient.

    A column or pattern that the settings name takes precedence over one that is found automatically.

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
        Column and pattern are both asked for, or the pattern is no regular expression, has several groups, or misses
        a name.
    """
    images = listing.images
    pattern_asked = settings.patient_pattern not in ("auto", "none")
    if pattern_asked and settings.patient_column not in ("auto", "none"):
        raise InputError(
            f"{where}: the patient is asked for by column {settings.patient_column!r} and by pattern "
            f"{settings.patient_pattern!r}; set one of the two to 'none'"
        )
    if pattern_asked:
        pattern = _compiled(settings.patient_pattern)
        return _by_pattern(where, images, pattern), f"file names by pattern {settings.patient_pattern!r}"
    if listing.patient_source is not None:
        return [image.patient for image in images], listing.patient_source
    stems = [image.stem for image in images]
    if settings.patient_pattern == "auto" and all(stem is not None and _NUMBERED.match(stem) for stem in stems):
        return _by_pattern(where, images, _NUMBERED), f"file names by pattern {_NUMBERED.pattern!r}"
    return [None] * len(images), "each image its own patient"


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise InputError(f"patient pattern {pattern!r}: is no regular expression ({error})") from error
    if compiled.groups > 1:
        raise InputError(
            f"patient pattern {pattern!r}: has {compiled.groups} groups; keep one, write the others as (?:...)"
        )
    return compiled


def _by_pattern(where: str, images: Sequence[ListedImage], pattern: re.Pattern[str]) -> list[str | None]:
    patients: list[str | None] = []
    missed: list[str] = []
    for image in images:
        found = None if image.stem is None else pattern.search(image.stem)
        patient = found.group(pattern.groups) if found else None  # group 0 is the whole match
        if not patient:
            missed.append(image.name)
        patients.append(patient)
    if missed:
        further = f" and {len(missed) - 1} further" if len(missed) > 1 else ""
        raise InputError(
            f"{where}: the patient pattern {pattern.pattern!r} finds no patient in {missed[0]!r}{further}; mend the "
            "pattern, or set it to 'none'"
        )
    return patients
