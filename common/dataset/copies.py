"""Identical images: whoever shares one counts as one patient, so that no split has a copy on both of its sides."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from common.system.wording import plural


def join_patients_of_copies(
    names: Sequence[str], patients: Sequence[str | None], digests: Sequence[str]
) -> tuple[list[str], str | None]:
    """Name one patient for each image.

    Parameters
    ----------
    names : sequence of str
        Of the images, in an order that does not depend on the file system.
    patients : sequence of (str or None)
        None: the image is its own patient.
    digests : sequence of str
        Of the images' content.

    Returns
    -------
    patients : list of str
        As given, or the image's name; patients that are linked by copies all get the name of the first of them.
    note : str or None
        What was joined, in words; None where no content is there under two patients.
    """
    given = [name if patient is None else patient for name, patient in zip(names, patients, strict=True)]
    holders: defaultdict[str, list[str]] = defaultdict(list)
    for patient, digest in zip(given, digests, strict=True):
        if patient not in holders[digest]:
            holders[digest].append(patient)
    shared = {digest: those for digest, those in holders.items() if len(those) > 1}
    if not shared:
        return given, None
    leader = _leaders(given, shared.values())
    images = sum(digest in shared for digest in digests)
    several = {patient for those in shared.values() for patient in those}
    left = len({leader[patient] for patient in several})
    if all(patient is None for patient in patients):
        note = f"{images} images are copies of each other, {len(shared)} different ones; copies count as one patient"
    else:
        note = (
            f"{images} images lie identically under several patients; those {len(several)} patients count as "
            f"{plural(left, 'patient')}, so that no copy is tested by what was trained on it"
        )
    return [leader[patient] for patient in given], note


def _leaders(patients: Sequence[str], linked: Iterable[Sequence[str]]) -> dict[str, str]:
    """Return for each patient the first of those that it is linked to, directly or not."""
    leader = {patient: patient for patient in patients}
    order = {patient: place for place, patient in enumerate(leader)}

    def find(patient: str) -> str:
        while leader[patient] != patient:
            patient = leader[patient]
        return patient

    for those in linked:
        first, *others = sorted({find(patient) for patient in those}, key=order.__getitem__)
        for other in others:
            leader[other] = first
    return {patient: find(patient) for patient in leader}
