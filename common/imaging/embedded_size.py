"""Reads the size of a compressed picture out of its header, before any decoder allocates memory for it.

Pillow alone would not do: it does not know JPEG-LS and 12- or 16-bit JPEG, which the other decoders of DICOM read.
"""

from io import BytesIO

from PIL import Image

_JPEG_START = b"\xff\xd8"
_JPEG_2000_STARTS = (b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0c")
# Start-of-frame markers: those of ITU-T T.81 table B.1 (0xC4, 0xC8 and 0xCC mean other things), and JPEG-LS, T.87.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
# Markers that stand alone, without a length: padding, TEM, RSTn, SOI.
_BARE_MARKERS = frozenset({0x01, *range(0xD0, 0xD9)})


def embedded_size(picture: bytes) -> tuple[int, int] | None:
    """Return the width and height that a JPEG, JPEG-LS, JPEG 2000 or HTJ2K stream announces, in pixels.

    Parameters
    ----------
    picture : bytes
        The stream as a DICOM frame embeds it.

    Returns
    -------
    tuple of int or None
        Width and height; None where it is no such stream, or its header is damaged or does not tell.
    """
    if picture.startswith(_JPEG_START):
        return _jpeg_size(picture)
    if picture.startswith(_JPEG_2000_STARTS):
        with Image.open(BytesIO(picture), formats=("JPEG2000",)) as opened:
            return opened.size
    return None


def _jpeg_size(picture: bytes) -> tuple[int, int] | None:
    position = len(_JPEG_START)
    while position + 9 <= len(picture) and picture[position] == 0xFF:
        marker = picture[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker in _BARE_MARKERS:
            position += 2
        elif marker in _FRAME_MARKERS:
            # length (2), precision (1), lines (2), samples per line (2)
            height = int.from_bytes(picture[position + 5 : position + 7], "big")
            width = int.from_bytes(picture[position + 7 : position + 9], "big")
            return width, height
        else:
            position += 2 + int.from_bytes(picture[position + 2 : position + 4], "big")
    return None
