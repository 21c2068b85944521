"""Which metadata of an image file may identify the patient: EXIF, text chunks, DICOM tags.

This module returns only the kinds of fields, never their values.
"""

from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pydicom
from PIL import Image

from common.imaging.decoder_warnings import MUTED
from common.imaging.dicom import has_magic, is_dicom

_EXIF_BLOCK, _GPS_BLOCK = 0x8769, 0x8825
_EXIF_FIELDS = {
    0x010E: "ImageDescription",
    0x013B: "Artist",
    0x9C9B: "XPTitle",
    0x9C9C: "XPComment",
    0x9C9D: "XPAuthor",
}
_EXIF_BLOCK_FIELDS = {0x9286: "UserComment", 0xA430: "CameraOwnerName", 0xA431: "BodySerialNumber"}
_PNG_HARMLESS = frozenset({"Software", "date:create", "date:modify", "date:timestamp"})
_PNG_CHUNKS = (b"tEXt", b"zTXt", b"iTXt", b"eXIf")
_DICOM_FIELDS = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "PatientBirthDate",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "PatientComments",
    "AccessionNumber",
    "InstitutionName",
    "InstitutionAddress",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
    "RequestingPhysician",
)
_BURNED_IN = "BurnedInAnnotation"
# Values that anonymisers write.
_BLANKS = frozenset(
    {"", "none", "anonymous", "anonymized", "anonymised", "anon", "removed", "unknown", "na", "n/a", "0"}
)


def identifying_fields(content: bytes, name: str) -> tuple[str, ...]:
    """Return the kinds of fields that are not empty, such as "EXIF Artist".

    Parameters
    ----------
    content : bytes
        The whole file. It must have been decoded before, which shows that its sizes are within the limits.
    name : str
        Its suffix identifies a DICOM file that has no magic number.
    """
    read = _dicom_fields if is_dicom(content, name) else _picture_fields
    found: list[str] = []
    try:
        with MUTED:
            found.extend(read(content))
    except Exception:  # noqa: BLE001 - on damaged bytes the libraries raise almost anything
        found.append("metadata that cannot be read")
    return tuple(dict.fromkeys(found))


def _picture_fields(content: bytes) -> Iterator[str]:
    with Image.open(BytesIO(content), formats=("JPEG", "PNG", "TIFF", "BMP", "WEBP")) as image:
        if image.format == "PNG":
            if any(chunk in content for chunk in _PNG_CHUNKS):
                image.load()  # text may come after the pixels
            for key, value in getattr(image, "text", {}).items():
                if key not in _PNG_HARMLESS and _holds_something(value):
                    yield f"PNG text {key!r}"
        if _holds_something(image.info.get("comment")):
            yield "JPEG comment"
        exif = image.getexif()
        block = exif.get_ifd(_EXIF_BLOCK)
        for fields, values in ((_EXIF_FIELDS, exif), (_EXIF_BLOCK_FIELDS, block)):
            for tag, field in fields.items():
                if _holds_something(values.get(tag)):
                    yield f"EXIF {field}"
        if exif.get_ifd(_GPS_BLOCK):
            yield "EXIF GPS position"


def _dicom_fields(content: bytes) -> Iterator[str]:
    dataset = pydicom.dcmread(
        BytesIO(content),
        stop_before_pixels=True,
        force=not has_magic(content),
        specific_tags=[*_DICOM_FIELDS, _BURNED_IN],
    )
    for field in _DICOM_FIELDS:
        if _holds_something(dataset.get(field)):
            yield f"DICOM {field}"
    if str(dataset.get(_BURNED_IN, "")).strip().upper() == "YES":
        yield f"DICOM {_BURNED_IN}=YES"


def _holds_something(value: Any) -> bool:
    if value is None:
        return False
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    # EXIF's UserComment starts with its character code, and is padded with NUL or blanks.
    return text.removeprefix("ASCII").strip("\0 \t\r\n^").casefold() not in _BLANKS
