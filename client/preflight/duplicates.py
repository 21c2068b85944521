"""Does an image exist twice? Copies on both sides of a split make a model look better than it is."""

from collections import defaultdict

from client.preflight.findings import Finding, failed, passed, warn
from client.preflight.fingerprint import find_look_alikes
from client.preflight.survey import Picture, Survey
from common.system.wording import first_few, plural


def check_copies(survey: Survey) -> Finding:
    """Find files with the same content; training refuses those under two labels."""
    by_content: dict[str, list[Picture]] = defaultdict(list)
    for picture in survey.pictures:
        by_content[picture.sha256].append(picture)
    groups = [sorted(group, key=lambda picture: picture.label) for group in by_content.values() if len(group) > 1]
    copies = [(group[0], group[-1]) for group in groups]
    torn = [(one, other) for one, other in copies if one.label != other.label]
    if torn:
        found = f"{plural(len(torn), 'image')} in two classes: {_pairs(torn)}"
        return failed("copies", found, "correct the label or remove both: training refuses such data")
    if copies:
        found = f"{plural(len(copies), 'image')} there more than once: {_pairs(copies)}"
        return warn("copies", found, "remove the copies; they count double")
    return passed("copies", "no file is there twice")


def check_look_alikes(survey: Survey) -> Finding:
    """Find images of different patients that most likely show one picture: a split could separate them."""
    pictures = survey.pictures
    pairs = [(pictures[i], pictures[j]) for i, j in find_look_alikes([picture.fingerprint for picture in pictures])]
    pairs = [(one, other) for one, other in pairs if one.sha256 != other.sha256]
    parted = [(one, other) for one, other in pairs if one.patient is None or one.patient != other.patient]
    if not parted:
        same = f"; {plural(len(pairs), 'pair')} of the same patient" if pairs else ""
        return passed("look-alikes", f"none of different patients{same}")
    torn = sum(one.label != other.label for one, other in parted)
    across = f" ({torn} in two classes)" if torn else ""
    mend = "keep one of each pair, or give both the same patient, so that no split parts them"
    return warn("look-alikes", f"{plural(len(parted), 'pair')}{across}: {_pairs(parted)}", mend)


def _pairs(pairs: list[tuple[Picture, Picture]]) -> str:
    return first_few(f"{one.name} = {other.name}" for one, other in pairs)
