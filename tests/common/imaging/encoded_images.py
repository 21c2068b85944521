"""Pictures as the bytes of files."""

import io
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
)

from common.imaging.decode import decode_image
from common.imaging.limits import ImageLimits

RAMP = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))


COLOUR = np.stack([RAMP, RAMP[:, ::-1], np.full_like(RAMP, 90)], axis=2)


SMALL = ImageLimits(max_bytes=20_000, max_pixels=10_000, max_frames=4)


def encoded(image: Image.Image | NDArray[Any], kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def dicom(pixels: NDArray[Any] | bytes, syntax: UID = ExplicitVRLittleEndian, shape: Any = None, **tags: Any) -> bytes:
    """Build a small DICOM file by hand; `tags` override what is derived from the array."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.file_meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.7")
    dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2.3")
    dataset.SOPClassUID, dataset.SOPInstanceUID = UID("1.2.840.10008.5.1.4.1.1.7"), UID("1.2.3")
    dataset.PatientName = "CANARY^PATIENT"
    shape = shape or pixels.shape  # type: ignore[union-attr]
    dtype = np.dtype(np.uint8) if isinstance(pixels, bytes) else pixels.dtype
    colour = len(shape) == 3
    dataset.Rows, dataset.Columns = int(shape[0]), int(shape[1])
    dataset.SamplesPerPixel = 3 if colour else 1
    dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = dtype.itemsize * 8
    dataset.PixelRepresentation = int(dtype.kind == "i")
    dataset.PixelData = pixels if isinstance(pixels, bytes) else pixels.tobytes()
    for key, value in tags.items():
        setattr(dataset, key, value)
    dataset.HighBit = dataset.BitsStored - 1
    dataset["PixelData"].VR = "OW" if dataset.BitsAllocated > 8 and not isinstance(pixels, bytes) else "OB"
    stream = io.BytesIO()
    pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def grey(data: bytes, name: str = "x.dcm") -> NDArray[np.int64]:
    pixels = decode_image(data, name)
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert (pixels[..., 0] == pixels[..., 2]).all()
    return pixels[..., 0].astype(np.int64)
