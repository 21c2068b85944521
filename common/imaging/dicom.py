"""Decodes DICOM files as a radiologist's screen shows them: the grey-scale pipeline of PS3.3 C.11, then 8-bit RGB.

Stored values go through the modality transform (rescale or LUT), then the VOI transform (LUT or window), and come out
inverted for MONOCHROME1. Where a file names no window, 8-bit values are taken as they are, and deeper ones are scaled
by robust percentiles. Only the first frame of a multi-frame file is read. Windows inside the functional groups of
enhanced multi-frame objects are ignored; such files are scaled by percentiles.

Only the tags that describe pixels are parsed: a patient's name never enters memory as a value.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import get_frame
from pydicom.errors import InvalidDicomError
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGExtended12Bit, RLELossless

from common.imaging.embedded_size import embedded_size
from common.imaging.errors import UnreadableImageError, UnsupportedImageError
from common.imaging.intensity import by_percentiles, by_range
from common.imaging.limits import ImageLimits

_MAGIC = b"DICM"
_MAGIC_OFFSET = 128
_SUFFIXES = (".dcm", ".dicom")
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_PIXEL_DATA = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
_TAGS = [
    *_PIXEL_DATA,
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleSlope",
    "RescaleIntercept",
    "ModalityLUTSequence",
    "WindowCenter",
    "WindowWidth",
    "VOILUTFunction",
    "VOILUTSequence",
    "RedPaletteColorLookupTableDescriptor",
    "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor",
    "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
    "SegmentedRedPaletteColorLookupTableData",
    "SegmentedGreenPaletteColorLookupTableData",
    "SegmentedBluePaletteColorLookupTableData",
]


def is_dicom(data: bytes, name: str = "") -> bool:
    """Tell whether bytes (at least the first 132) are DICOM, by their magic or else by the file's suffix."""
    return has_magic(data) or PurePosixPath(name.lower()).suffix in _SUFFIXES


def has_magic(head: bytes) -> bool:
    """Tell whether a file's first 132 bytes carry the magic ``DICM``; PACS exports often have no suffix."""
    return head[_MAGIC_OFFSET : _MAGIC_OFFSET + len(_MAGIC)] == _MAGIC


def decode_dicom(data: bytes, name: str, limits: ImageLimits) -> tuple[NDArray[np.uint8], bool]:
    """Decode the first frame of a DICOM file.

    Parameters
    ----------
    data : bytes
        The whole file; one without preamble is accepted too.
    name : str
        What errors call it.
    limits : ImageLimits
        The largest image to read; rows, columns and frames are checked before anything is decoded.

    Returns
    -------
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB, 0..255.
    several_frames : bool
        Whether there are further frames.

    Raises
    ------
    ImageError
        No pixels, a limit, or a compression for which no decoder is installed.
    Exception
        Whatever pydicom raises on damaged bytes; `common.imaging.decode.decode_image` makes it an `ImageError`.
    """
    dataset = _parse(data, name)
    if not any(keyword in dataset for keyword in _PIXEL_DATA):
        raise UnreadableImageError(name, "holds no pixel data (a report, a directory, or no DICOM file at all)")
    rows, columns = dataset.get("Rows"), dataset.get("Columns")
    if not isinstance(rows, int) or not isinstance(columns, int):
        raise UnreadableImageError(name, "does not say how many rows and columns it has")
    frames = int(dataset.get("NumberOfFrames") or 1)
    limits.check_size(name, columns, rows)
    limits.check_frames(name, frames)
    _check_compression(dataset, frames, name)
    stored = pixel_array(dataset, index=0)
    photometric = str(dataset.PhotometricInterpretation)
    if photometric in ("MONOCHROME1", "MONOCHROME2"):
        pixels = np.repeat(_grey(dataset, stored, photometric == "MONOCHROME1")[:, :, None], 3, axis=2)
    else:
        pixels = _colour(dataset, stored, photometric, name)
    return pixels, frames > 1


def _parse(data: bytes, name: str) -> Dataset:
    """Read the tags that describe pixels; supply the transfer syntax where a file without preamble has none."""
    if _DEFLATED in data:
        # pydicom would inflate the whole file, without a limit, before the first tag can be checked.
        raise UnsupportedImageError(
            name, "deflated DICOM is not read; export it uncompressed (Explicit VR Little Endian)"
        )
    try:
        dataset = pydicom.dcmread(BytesIO(data), force=not has_magic(data), specific_tags=_TAGS)
    except InvalidDicomError as error:
        raise UnreadableImageError(name, "is no DICOM file") from error
    meta = getattr(dataset, "file_meta", None)
    if meta is None or "TransferSyntaxUID" not in meta:
        dataset.file_meta = FileMetaDataset() if meta is None else meta
        implicit = dataset.original_encoding[0]
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    return dataset


def _check_compression(dataset: Dataset, frames: int, name: str) -> None:
    """Refuse a compression without a decoder, and a first frame that would unpack to another size than announced."""
    syntax = UID(dataset.file_meta.TransferSyntaxUID)
    _check_decoder(syntax, dataset.get("BitsStored"), name)
    if not syntax.is_encapsulated:
        return
    frame = get_frame(dataset.PixelData, 0, number_of_frames=frames)
    if syntax == RLELossless:
        _check_run_lengths(frame, dataset.Rows * dataset.Columns, name)
        return
    size = embedded_size(frame)
    if size is None:
        raise UnreadableImageError(name, "is damaged or cut short (its compressed picture does not tell its size)")
    if size != (dataset.Columns, dataset.Rows):
        announced = f"{dataset.Columns} x {dataset.Rows}"
        raise UnreadableImageError(name, f"announces {announced} pixels but holds a picture of another size")


def _check_decoder(syntax: UID, bits_stored: Any, name: str) -> None:
    """Refuse a compression that no installed decoder reads, and name the extra that brings one where there is one."""
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        reason = f"its compression, {syntax.name}, is not read; export it uncompressed"
        raise UnsupportedImageError(name, reason) from error
    usable = set(decoder.available_plugins)
    if syntax == JPEGExtended12Bit and bits_stored != 8:
        # Pillow and GDCM claim this syntax, but pydicom cannot read 12-bit JPEG, its main use, with either.
        usable -= {"pillow", "gdcm"}
        remedy = "export it uncompressed"
    else:
        remedy = "pip install 'rarefed[dicom]' brings one, or export it uncompressed"
    if syntax.is_encapsulated and not usable:
        raise UnsupportedImageError(name, f"no decoder is installed for its compression, {syntax.name}; {remedy}")


def _check_run_lengths(frame: bytes, pixels: int, name: str) -> None:
    """Add up the unpacked size of the run-length segments (PS3.5 G), which the decoder itself does not limit."""
    count = int.from_bytes(frame[:4], "little")
    offsets = [int.from_bytes(frame[4 * i : 4 * i + 4], "little") for i in range(1, min(count, 15) + 1)]
    for start, end in zip(offsets, [*offsets[1:], len(frame)], strict=True):
        position, unpacked, end = start, 0, min(end, len(frame))
        while position < end:
            header = frame[position]
            if header == 128:
                position += 1
                continue
            unpacked += 257 - header if header > 128 else header + 1
            position += 2 if header > 128 else header + 2
            if unpacked > pixels + 256:  # a segment may be padded, by a byte if written well
                raise UnreadableImageError(name, "its run-length data unpacks to more pixels than it announces")


def _grey(dataset: Dataset, stored: NDArray[Any], white_is_low: bool) -> NDArray[np.uint8]:
    """Take stored values (H, W) through the modality and VOI transforms to display values, black 0 to white 255."""
    padding = _padding(dataset, stored)
    values = _rescaled(dataset, stored)
    window = _window(dataset)
    if dataset.get("VOILUTSequence"):
        depth = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        shown = by_range(apply_voi(values, dataset), 0.0, float(2**depth - 1))
    elif window is not None:
        shown = _windowed(values, *window)
    elif dataset.BitsStored <= 8 and dataset.get("PixelRepresentation", 0) == 0:
        shown = by_range(stored, 0.0, float(2**dataset.BitsStored - 1))
    else:
        shown = by_percentiles(values, None if padding is None else ~padding)
    if white_is_low:
        shown = np.asarray(255 - shown, np.uint8)
    if padding is not None:
        # pixels outside the detector's field are black on a screen, under either photometric interpretation
        shown[padding] = 0
    return shown


def _padding(dataset: Dataset, stored: NDArray[Any]) -> NDArray[np.bool_] | None:
    """Tell which stored values (H, W) only pad the picture; None where none do, or all would."""
    value = dataset.get("PixelPaddingValue")
    if not isinstance(value, int):
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((value, limit if isinstance(limit, int) else value))
    padding = (stored >= low) & (stored <= high)
    return None if padding.all() or not padding.any() else padding


def _rescaled(dataset: Dataset, stored: NDArray[Any]) -> NDArray[Any]:
    """Apply the modality LUT, or slope and intercept; an absent or empty one leaves the values as they are."""
    if dataset.get("ModalityLUTSequence"):
        return apply_modality_lut(stored, dataset)
    slope, intercept = _number(dataset.get("RescaleSlope")), _number(dataset.get("RescaleIntercept"))
    if slope is None and intercept is None:
        return stored
    return stored.astype(np.float64) * (1.0 if slope is None else slope) + (intercept or 0.0)


def _window(dataset: Dataset) -> tuple[float, float, str] | None:
    """Return (centre, width, function) of the first window, or None where there is none that PS3.3 C.11.2 allows."""
    centre, width = _number(dataset.get("WindowCenter")), _number(dataset.get("WindowWidth"))
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if centre is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        return None
    return centre, width, function


def _number(value: Any) -> float | None:
    """Return a decimal string, or the first of several, as a finite float; None for anything else."""
    first = value[0] if isinstance(value, Sequence) and not isinstance(value, str) and len(value) else value
    try:
        number = float(first)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


def _windowed(values: NDArray[Any], centre: float, width: float, function: str) -> NDArray[np.uint8]:
    """Apply a VOI window to modality values (H, W), by the formulas of PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        exponent = np.clip(-4.0 * (values.astype(np.float64) - centre) / width, -700.0, 700.0)
        return by_range(1.0 / (1.0 + np.exp(exponent)), 0.0, 1.0)
    if function == "LINEAR_EXACT":
        return by_range(values, centre - width / 2, centre + width / 2)
    if width == 1:
        return np.where(values > centre - 0.5, 255, 0).astype(np.uint8)
    return by_range(values, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)


def _colour(dataset: Dataset, stored: NDArray[Any], photometric: str, name: str) -> NDArray[np.uint8]:
    """Convert a colour frame to 8-bit RGB; pydicom has converted YBR to RGB already."""
    depth = int(dataset.BitsStored)
    if photometric == "PALETTE COLOR":
        depth = int(dataset.RedPaletteColorLookupTableDescriptor[2])
        stored = apply_color_lut(stored, dataset)[:, :, :3]
    if stored.ndim != 3 or stored.shape[2] != 3:
        raise UnsupportedImageError(name, f"pixels of type {photometric} are not read")
    return by_range(stored, 0.0, float(2**depth - 1))
