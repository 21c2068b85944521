"""Do the names of files and folders tell who the patients are?"""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

_DATE = (
    r"(?<!\d)(?:(?:19|20)\d\d[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"
    r"|(?:0[1-9]|[12]\d|3[01])[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:19|20)\d\d)(?!\d)"
)
_PATTERNS = {
    "dates": re.compile(_DATE),
    "DICOM UIDs": re.compile(r"(?<![\d.])\d+(?:\.\d+){5,}"),
    "record numbers": re.compile(
        r"(?:mrn|pat(?:ient)?[-_ ]?(?:id|nr|no)|fallnr|fall[-_ ]?nr|accession|kvnr|ssn|nhs)[-_ #:]*\d{3,}",
        re.IGNORECASE,
    ),
    # Counters are padded with zeros, record numbers are not.
    "long numbers": re.compile(r"(?<![\d.])0*[1-9]\d{5,}(?![\d.]*\d)"),
    "personal names": re.compile(r"(?<![^\W\d_])[A-Z][^\W\d_]{2,}[_,^]+ ?[A-Z][^\W\d_]{2,}(?![^\W\d_])"),
}
_NO_NAME = re.compile(
    r"left|right|anterior|posterior|lateral|front|back|upper|lower|eye|skin|chest|lesion|image|img|scan|photo|picture"
    r"|xray|ray|mri|oct|fundus|series|study|view|patient|case|sample|positive|negative|normal|healthy|disease|train"
    r"|test|val|crop|copy|edited|original|new|final|hospital|clinic|camera|dermoscopy|biopsy|site|visit"
)


def suspicious_names(names: Iterable[str], labels: Iterable[str]) -> dict[str, list[str]]:
    """Return the names that seem to hold an identifier, by kind of identifier.

    Parameters
    ----------
    names : iterable of str
        Paths with "/" separators.
    labels : iterable of str
        Class names; a folder of such a name does not identify a patient.

    Returns
    -------
    dict
        Only kinds that were found. What is in half of all names or more is a common prefix and identifies no patient.
    """
    listed, known = list(names), frozenset(labels)
    matches = [(name, kind, found) for name in listed for kind, found in _matches(name, known)]
    common = Counter((kind, found) for _, kind, found in matches)
    suspects: dict[str, list[str]] = {}
    for name, kind, found in matches:
        if common[kind, found] < max(3, len(listed) / 2) and name not in suspects.get(kind, []):
            suspects.setdefault(kind, []).append(name)
    return suspects


def _matches(name: str, labels: frozenset[str]) -> set[tuple[str, str]]:
    path = PurePosixPath(name)
    parts = [part for part in (*path.parts[:-1], path.stem) if part not in labels]
    return {(kind, found) for part in parts for kind in _PATTERNS for found in _found(kind, part)}


def _found(kind: str, part: str) -> list[str]:
    found = [match.group().casefold() for match in _PATTERNS[kind].finditer(part)]
    if kind == "personal names":
        return [words for words in found if not any(map(_NO_NAME.fullmatch, re.split(r"[_,^ ]+", words)))]
    if kind == "long numbers":  # dates are a kind of their own
        return [number for number in found if not _PATTERNS["dates"].fullmatch(number)]
    return found
