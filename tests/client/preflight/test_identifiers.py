"""What tells who a patient is, in names and metadata, is found by kind, and its value is not repeated."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from client.preflight.checks import check_images
from client.preflight.findings import Status
from client.preflight.metadata import identifying_fields
from client.preflight.names import suspicious_names
from tests.client.hospital import write_hospital
from tests.client.preflight.pictures import picture

PIXELS = Image.fromarray(picture(1, 32))


def encode(kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    PIXELS.save(stream, kind, **options)
    return stream.getvalue()


def exif(values: dict[int, Any], block: int | None = None) -> Image.Exif:
    made = Image.Exif()
    (made if block is None else made.get_ifd(block)).update(values)
    return made


def text(key: str, value: str) -> PngInfo:
    made = PngInfo()
    made.add_text(key, value, zip=True)
    return made


def dicom(**tags: Any) -> bytes:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 8, 8, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.PixelData = bytes(64)
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (encode("JPEG"), ()),
        (encode("PNG", pnginfo=text("Software", "ImageMagick")), ()),
        (encode("JPEG", exif=exif({0x0112: 1, 0x010F: "Canon"})), ()),
        (encode("JPEG", exif=exif({0x013B: "Dr. Canary"})), ("EXIF Artist",)),
        (encode("TIFF", tiffinfo={270: "Canary, 1961"}), ("EXIF ImageDescription",)),
        (encode("JPEG", exif=exif({0x9286: b"ASCII\0\0\0Canary"}, 0x8769)), ("EXIF UserComment",)),
        (encode("JPEG", exif=exif({0x9286: b"ASCII\0\0\0    "}, 0x8769)), ()),
        (encode("WEBP", exif=exif({0xA430: "Canary"}, 0x8769)), ("EXIF CameraOwnerName",)),
        (encode("JPEG", exif=exif({0xA431: "77"}, 0x8769)), ("EXIF BodySerialNumber",)),
        (encode("JPEG", exif=exif({1: "N", 2: (48.0, 8.0, 0.0)}, 0x8825)), ("EXIF GPS position",)),
        (encode("JPEG", comment=b"Canary"), ("JPEG comment",)),
        (encode("PNG", pnginfo=text("Patient", "Canary")), ("PNG text 'Patient'",)),
        (dicom(), ()),
        (dicom(PatientName="Anonymous^", PatientID="", BurnedInAnnotation="NO"), ()),
        (dicom(PatientName="Canary^A", PatientID="4711"), ("DICOM PatientName", "DICOM PatientID")),
        (dicom(PatientBirthDate="19610312"), ("DICOM PatientBirthDate",)),
        (dicom(InstitutionName="Canary"), ("DICOM InstitutionName",)),
        (dicom(ReferringPhysicianName="X^Y"), ("DICOM ReferringPhysicianName",)),
        (dicom(BurnedInAnnotation="YES"), ("DICOM BurnedInAnnotation=YES",)),
    ],
)
def test_metadata(content: bytes, fields: tuple[str, ...]) -> None:
    assert identifying_fields(content, "image") == fields


@pytest.mark.parametrize("content", [b"", b"no image", dicom(PatientName="Canary")[:300], encode("PNG")[:40]])
def test_damaged_metadata_raises_nothing(content: bytes) -> None:
    identifying_fields(content, "image")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sick/MUELLER_ANNA.png", "personal names"),
        ("sick/Müller_Jörg_2.png", "personal names"),
        ("Smith^John/1.dcm", "personal names"),
        ("sick/1961-03-12.png", "dates"),
        ("sick/scan_12031961.png", "dates"),
        ("12.03.1961/a.png", "dates"),
        ("sick/4711234.png", "long numbers"),
        ("sick/MRN0815.png", "record numbers"),
        ("sick/pat-nr 0815.png", "record numbers"),
        ("sick/1.2.840.113619.2.55.3.png", "DICOM UIDs"),
    ],
)
def test_telling_names(name: str, kind: str) -> None:
    harmless = [f"sick/{number:04d}.png" for number in range(5)]
    assert suspicious_names([name, *harmless], ["sick"]) == {kind: [name]}


@pytest.mark.parametrize(
    "name", ["sick/ISIC_0024319", "sick/00000061_015", "Basal_Carcinoma/7", "sick/phantom_0001", "sick/Left_Eye_3"]
)
def test_harmless_names(name: str) -> None:
    assert suspicious_names([f"{name}.png"], ["sick", "Basal_Carcinoma"]) == {}


def test_a_common_prefix_is_no_patient() -> None:
    assert suspicious_names([f"Rare_Disorder_20240101_{n}.png" for n in range(9)], []) == {}


def test_one_patient_of_many_is_found_in_all_of_his_images() -> None:
    names = [f"Canary_Anna_{n}.png" for n in range(2)]
    assert suspicious_names([*names, *(f"{n}.png" for n in range(9))], []) == {"personal names": names}


def test_findings_tell_counts_and_no_values(tmp_path: Path) -> None:
    for number in range(12):
        label = ("healthy", "sick")[number % 2]
        path = tmp_path / "data" / label / f"{1000 + number}_1.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        marked = exif({0x013B: "CANARY"} if number < 3 else {})
        Image.fromarray(np.asarray(picture(number))).save(path, exif=marked)
    (tmp_path / "data" / "sick" / "1001_1.jpg").rename(tmp_path / "data" / "sick" / "4711999_1.jpg")
    findings = {
        f.check: f for f in check_images(write_hospital(tmp_path, tmp_path / "data")) if f.status != Status.PASSED
    }
    assert set(findings) == {"file names", "metadata"}
    assert findings["file names"].found == "what may be long numbers in 1: sick/4711999_1.jpg"
    assert findings["metadata"].found == "3 images, such as healthy/1000_1.jpg: EXIF Artist (3)"
