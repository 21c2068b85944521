"""Limits hold before anything is decoded."""

import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEGBaseline8Bit,
    RLELossless,
)

from common.dataset.image_source import FileSource
from common.imaging.decode import decode_image
from common.imaging.errors import ImageTooLargeError, UnreadableImageError
from common.imaging.limits import ImageLimits
from tests.common.imaging.encoded_images import RAMP, SMALL, dicom, encoded


class TestLimits:
    def test_file_size_is_checked_before_reading(self, tmp_path: Path) -> None:
        path = tmp_path / "huge.png"
        with path.open("wb") as stream:
            stream.truncate(2**40)  # sparse: a terabyte that takes no space
        with pytest.raises(ImageTooLargeError, match="bytes"):
            FileSource(path, "image").pixels()

    def test_pixels_of_headers_are_checked_before_decoding(self) -> None:
        def chunk(kind: bytes, body: bytes) -> bytes:
            return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

        for size in (11_000, 60_000, 2**31 - 1):  # under Pillow's own limit, over it, far over it
            header = chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0))
            data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
            with pytest.raises(ImageTooLargeError):
                decode_image(data, "bomb.png")

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
    def test_every_format_honours_the_pixel_limit(self, kind: str) -> None:
        data = encoded(Image.new("L", (160, 100)), kind)
        with pytest.raises(ImageTooLargeError, match=r"160 x 100 pixels are more than the limit of 10,000"):
            decode_image(data, "x", SMALL)

    @pytest.mark.parametrize(
        "options", [{"lossless": True}, {"lossless": False}, {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"}]
    )
    def test_webp_canvas_is_read_without_the_decoder(self, options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        data = encoded(Image.new("RGB", (200, 100)), "WEBP", **options)
        monkeypatch.setattr(Image, "open", lambda *_, **__: pytest.fail("the decoder was asked"))
        with pytest.raises(ImageTooLargeError, match="200 x 100"):
            decode_image(data, "x", SMALL)

    def test_dicom_pixels_and_frames(self) -> None:
        with pytest.raises(ImageTooLargeError, match="65535 x 65535"):
            decode_image(dicom(RAMP, Rows=65535, Columns=65535), "x")
        with pytest.raises(ImageTooLargeError, match="5 frames"):
            decode_image(dicom(RAMP, NumberOfFrames=5), "x", SMALL)
        with pytest.raises(UnreadableImageError, match="64 x 0 pixels"):
            decode_image(dicom(RAMP, Rows=0), "x")

    def test_dicom_that_holds_another_picture_than_it_announces(self) -> None:
        data = dicom(encapsulate([encoded(Image.new("L", (3000, 3000)), "JPEG")]), JPEGBaseline8Bit, RAMP.shape)
        with pytest.raises(UnreadableImageError, match="another size"):
            decode_image(data, "x", ImageLimits(max_pixels=10_000))
        run_bomb = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x00" * 5_000
        with pytest.raises(UnreadableImageError, match="more pixels than it announces"):
            decode_image(dicom(encapsulate([run_bomb]), RLELossless, RAMP.shape), "x")
