"""Decodes an image file to an 8-bit RGB array, or raises a typed error that says why it cannot.

JPEG, PNG, TIFF, BMP and WebP go through Pillow, DICOM through `common.imaging.dicom`. Hospitals' files are taken as
possibly damaged or hostile: sizes are checked before anything is decoded, only the decoders named here are tried, and
every exception of a decoder becomes an `ImageError`. (The C library behind TIFF writes a line of its own to
stderr on some damaged files; Pillow offers no way to stop it, and the line holds no tag values.)

Decisions that change the pixels: the EXIF orientation is applied; transparent pixels become black, the colour of a
dermatoscope's rim and of collimation, so that they add no bright shape; colour profiles are not applied, since the
networks' own training did not apply them; 16-bit grey is scaled by `intensity.by_bit_depth`, 16-bit colour keeps its
upper byte; of a TIFF with several pages, and of a phone's JPEG with several pictures, the first is read.
"""

import stat
import struct
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from common.imaging import dicom
from common.imaging.decoder_warnings import MUTED
from common.imaging.errors import (
    ImageError,
    ImageTooLargeError,
    UnreachableImageError,
    UnreadableImageError,
    UnsupportedImageError,
)
from common.imaging.intensity import by_bit_depth, real_to_uint8
from common.imaging.limits import DEFAULT_LIMITS, ImageLimits

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".dicom"},
)

# JPEG 2000, GIF and dozens of further formats of Pillow stay closed: every decoder is one more target of attack.
_PILLOW_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
_NAMED_BUT_CLOSED = (
    (b"GIF8", 0, "GIF"),
    (b"\x00\x00\x00\x0cjP  ", 0, "JPEG 2000"),
    (b"\xff\x4f\xff\x51", 0, "JPEG 2000"),
    (b"ftyphei", 4, "HEIC"),
    (b"ftypmif1", 4, "HEIC"),
    (b"ftypavif", 4, "AVIF"),
    (b"%PDF", 0, "PDF"),
)
_HEADS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION_TAG = 0x0112
_PHOTOMETRIC_TAG = 0x0106
_EXIF_ERRORS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)


class Decoded(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    pixels : ndarray of uint8, shape (H, W, 3)
        RGB, 0..255, upright; contiguous and writeable.
    several_frames : bool
        A DICOM file or a TIFF has more frames or pages than the first, which alone is read.
    """

    pixels: NDArray[np.uint8]
    several_frames: bool


def read_bytes(path: Path, name: str, limits: ImageLimits = DEFAULT_LIMITS) -> bytes:
    """Return a regular file's bytes, at most `limits.max_bytes` of them.

    Raises
    ------
    ImageError
        The file is missing, not readable, not a regular file (reading a pipe could block for ever), or too large.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImageError(name, "is not a regular file")
        limits.check_bytes(name, status.st_size)
        with path.open("rb") as stream:
            data = stream.read(limits.max_bytes + 1)
    except OSError as error:
        raise UnreachableImageError(name, f"cannot be read ({error.strerror or type(error).__name__})") from error
    limits.check_bytes(name, len(data))
    return data


def looks_like_an_image(head: bytes) -> bool:
    """Tell whether a file's first bytes, 132 at least, are those of a format that is read."""
    bitmap = head[:2] == b"BM" and head[6:10] == bytes(4)
    webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith(_HEADS) or bitmap or webp or dicom.has_magic(head)


def decode_image(data: bytes, name: str, limits: ImageLimits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """Return the pixels of `decode_file`, shape (H, W, 3); parameters and errors as there."""
    return decode_file(data, name, limits).pixels


def decode_file(data: bytes, name: str, limits: ImageLimits = DEFAULT_LIMITS) -> Decoded:
    """Decode an image file's bytes.

    DICOM is known by its magic ``DICM`` at byte 128, or by a name that ends in ``.dcm`` or ``.dicom``; the other
    formats by their first bytes, whatever the name says.

    Parameters
    ----------
    data : bytes
        The whole file.
    name : str
        What errors call it.
    limits : ImageLimits
        The largest image to read.

    Returns
    -------
    Decoded

    Raises
    ------
    ImageError
        `UnreadableImageError`, `ImageTooLargeError` or `UnsupportedImageError`; no other exception.
    """
    limits.check_bytes(name, len(data))
    if not data:
        raise UnreadableImageError(name, "the file is empty (0 bytes)")
    decode = dicom.decode_dicom if dicom.is_dicom(data, name) else _decode_with_pillow
    try:
        with MUTED:
            pixels, several_frames = decode(data, name, limits)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageTooLargeError(name, "there is not enough memory to decode it") from error
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(name, "has more pixels than the decoder accepts") from error
    except NotImplementedError as error:
        raise UnsupportedImageError(name, "uses a variant of its format that is not read; export it as PNG") from error
    except Exception as error:
        # On damaged bytes decoders raise almost anything, SyntaxError included. Their texts may quote the values of
        # tags, that is patients' data, so only the kind of error is passed on.
        raise UnreadableImageError(
            name, f"is damaged or cut short (the decoder gave up: {type(error).__name__})"
        ) from error
    return Decoded(np.ascontiguousarray(pixels), several_frames)


def _decode_with_pillow(data: bytes, name: str, limits: ImageLimits) -> tuple[NDArray[np.uint8], bool]:
    """Return the pixels, and whether a TIFF has further pages."""
    for magic, offset, kind in _NAMED_BUT_CLOSED:
        if data.startswith(magic, offset):
            raise UnsupportedImageError(name, f"{kind} is not read; convert it to PNG")
    canvas = _webp_canvas(data)
    if canvas is not None:
        limits.check_size(name, *canvas)
    try:
        image = Image.open(BytesIO(data), formats=_PILLOW_FORMATS)
    except UnidentifiedImageError as error:
        raise UnreadableImageError(
            name, "is no JPEG, PNG, TIFF, BMP, WebP or DICOM file, or its header is damaged"
        ) from error
    with image:
        limits.check_size(name, *image.size)
        if image.format in ("PNG", "WEBP") and getattr(image, "is_animated", False):
            raise UnsupportedImageError(name, "is an animation; save the one picture that matters")
        image.load()
        turn = _TURNS.get(_orientation(image))
        pixels = _to_rgb(image if turn is None else image.transpose(turn), _white_is_zero(image))
        return pixels, image.format == "TIFF" and _has_second_page(image)


def _has_second_page(image: Image.Image) -> bool:
    try:
        image.seek(1)
    except (EOFError, *_EXIF_ERRORS):
        return False  # the first page is sound, and there is no other that can be found
    return True


def _webp_canvas(data: bytes) -> tuple[int, int] | None:
    """Return (width, height) from a WebP header; unlike the others, that decoder allocates its canvas on opening."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return None
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF
    return None


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 (upright) where there is none or the EXIF block is damaged."""
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except _EXIF_ERRORS:
        return 1  # the pixels are sound, only their description is not


def _white_is_zero(image: Image.Image) -> bool:
    """Tell whether 0 is white in a deep TIFF; Pillow inverts such files at 8 bits and below, but not above."""
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(_PHOTOMETRIC_TAG) == 0 and (image.mode == "F" or image.mode.startswith("I"))


def _to_rgb(image: Image.Image, white_is_zero: bool) -> NDArray[np.uint8]:
    """Convert a loaded picture of any Pillow mode to (H, W, 3) uint8."""
    if image.mode == "F" or image.mode.startswith("I"):
        values = np.asarray(image)
        grey = by_bit_depth(values) if image.mode.startswith("I;16") else real_to_uint8(values)
        return np.repeat((255 - grey if white_is_zero else grey)[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        # Pillow converts grey with premultiplied alpha to colour only through plain grey with alpha
        layered = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        ground = Image.new("RGBA", layered.size, (0, 0, 0, 255))
        return np.array(Image.alpha_composite(ground, layered).convert("RGB"))
    return np.array(image.convert("RGB"))
