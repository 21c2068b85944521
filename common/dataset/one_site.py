"""A patient's images all count to one site, so that no hospital trains on whom another one tests."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from common.dataset.records import ImageRecord
from common.system.wording import plural


def keep_patients_at_one_site(records: Sequence[ImageRecord]) -> tuple[tuple[ImageRecord, ...], str | None]:
    """Give all images of each patient the site that has most of them; of equals, the first by name.

    Real hospitals cannot know of each other's patients. A simulation, and the folders that it hands out, keep such a
    patient at one site; otherwise one hospital would train on him and another test him.

    Parameters
    ----------
    records : sequence of ImageRecord

    Returns
    -------
    records : tuple of ImageRecord
        In the same order.
    note : str or None
        How many patients and images that concerns, in words; None where it concerns none.
    """
    sites: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for record in records:
        if record.site is not None:
            sites[record.patient][record.site] += 1
    several = {patient: counts for patient, counts in sites.items() if len(counts) > 1}
    if not several:
        return tuple(records), None
    chosen = {patient: min(counts, key=lambda site: (-counts[site], site)) for patient, counts in several.items()}
    kept = tuple(
        replace(record, site=chosen[record.patient]) if record.site and record.patient in chosen else record
        for record in records
    )
    moved = sum(new.site != old.site for new, old in zip(kept, records, strict=True))
    note = (
        f"{plural(len(several), 'patient')} with images at several sites: all images of a patient count to the site "
        f"with most of them ({plural(moved, 'image')} moved), so that no site trains on whom another one tests"
    )
    return kept, note
