"""A small data set of two classes that a network can tell apart, in every layout that rarefed reads."""

import csv
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

PATIENTS = 24
SITES = ("north", "south")
SIDE = 80


def picture(number: int) -> NDArray[np.uint8]:
    """Return a grey-blue image with a bright disc (class 1) or a dark bar (class 0), never twice the same."""
    rng = np.random.default_rng(number)
    image = rng.normal((90, 100, 120), 12, size=(SIDE, SIDE, 3))
    across, down = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    middle = rng.uniform(30, 50, 2)
    if label(number):
        image[(across - middle[0]) ** 2 + (down - middle[1]) ** 2 < 200] += 90
    else:
        image[np.abs(down - middle[1]) < 8] -= 70
    return image.clip(0, 255).astype(np.uint8)


def label(number: int) -> int:
    return number % 2


def site(number: int) -> str:
    return SITES[number // 2 % 2]


def folders(root: Path) -> Path:
    for number in range(PATIENTS):
        folder = root / ("negative", "positive")[label(number)]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number)).save(folder / f"{10000 + number}_000.png")
    return root


def manifest(root: Path) -> Path:
    (root / "images").mkdir(parents=True)
    with (root / "manifest.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["path", "label", "patient", "site", "age"])
        for number in range(PATIENTS):
            path = f"images/{number}.jpg"
            Image.fromarray(picture(number)).save(root / path, quality=95)
            writer.writerow([path, ("healthy", "sick")[label(number)], f"p{number}", site(number), 40 + number])
    return root


def npz(root: Path) -> Path:
    root.mkdir(parents=True)
    images = np.stack([picture(number) for number in range(PATIENTS)])
    labels = np.array([[label(number)] for number in range(PATIENTS)], dtype=np.uint8)
    path = root / "tiny.npz"
    np.savez(path, train_images=images[:16], train_labels=labels[:16], test_images=images[16:], test_labels=labels[16:])
    return path


def dicom(root: Path) -> Path:
    for number in range(PATIENTS):
        folder = root / ("negative", "positive")[label(number)]
        folder.mkdir(parents=True, exist_ok=True)
        _write_dicom(folder / f"{10000 + number}_000.dcm", picture(number).mean(axis=2).astype(np.uint16) * 16)
    return root


def _write_dicom(path: Path, pixels: NDArray[np.uint16]) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.WindowCenter, dataset.WindowWidth = 2048, 4096
    dataset.PixelData = pixels.tobytes()
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)


LOADERS = {"folders": folders, "manifest": manifest, "npz": npz, "dicom": dicom}
