"""Do names or metadata tell who the patients are? They are never sent, but copies of the files may go elsewhere."""

from collections import Counter

from client.preflight.findings import Finding, passed, warn
from client.preflight.names import suspicious_names
from client.preflight.survey import Survey
from common.system.wording import first_few, plural


def check_names(survey: Survey) -> Finding:
    """Find names of files and folders that look like names, dates or record numbers."""
    names = [*(picture.name for picture in survey.pictures), *(name for name, _ in survey.left_out)]
    suspects = suspicious_names(names, survey.labels)
    if suspects:
        found = "; ".join(f"what may be {kind} in {len(some)}: {first_few(some)}" for kind, some in suspects.items())
        mend = "names are never sent, but they show on screens and in backups: rename the files by a pseudonym"
        return warn("file names", found, mend)
    return passed("file names", "nothing that looks like a name, a date of birth or a record number")


def check_metadata(survey: Survey) -> Finding:
    """Count the metadata fields that may identify a person."""
    fields = Counter(field for picture in survey.pictures for field in picture.fields)
    if fields:
        marked = [picture.name for picture in survey.pictures if picture.fields]
        kinds = ", ".join(f"{field} ({count})" for field, count in fields.most_common())
        found = f"{plural(len(marked), 'image')}, such as {marked[0]}: {kinds}"
        mend = "metadata are never sent, but an export without them is safer: `exiftool -all=`, or a DICOM anonymiser"
        return warn("metadata", found, mend)
    return passed("metadata", "no names, dates, places or serial numbers in EXIF, text chunks or DICOM tags")
