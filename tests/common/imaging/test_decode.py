"""Pictures of the common formats are decoded, and hostile files give a typed error."""

import io
import os
import pickle
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from common.dataset.image_source import FileSource
from common.errors import InputError
from common.imaging.decode import IMAGE_SUFFIXES, decode_image
from common.imaging.errors import ImageError, ImageTooLargeError, UnreadableImageError, UnsupportedImageError
from tests.common.imaging.encoded_images import COLOUR, RAMP, dicom, encoded, grey


class TestCommonFormats:
    @pytest.mark.parametrize(
        ("mode", "kind", "tolerance"),
        [
            *((mode, "PNG", 0) for mode in ("L", "RGB", "P", "LA", "RGBA")),
            *((mode, "TIFF", 0) for mode in ("L", "RGB", "P", "LA", "RGBA", "CMYK")),
            ("LAB", "TIFF", 2),
            *((mode, "BMP", 0) for mode in ("L", "RGB", "P")),
            *((mode, "JPEG", 2) for mode in ("L", "RGB", "CMYK")),
            *((mode, "WEBP", 3) for mode in ("L", "RGB", "RGBA")),
        ],
    )
    def test_a_grey_ramp_survives_every_mode_and_format(self, mode: str, kind: str, tolerance: int) -> None:
        pixels = decode_image(encoded(Image.fromarray(RAMP).convert(mode), kind), "x").astype(int)
        assert pixels.shape == (48, 64, 3)
        assert np.abs(pixels - RAMP[:, :, None]).max() <= tolerance

    @pytest.mark.parametrize(("kind", "tolerance"), [("PNG", 0), ("TIFF", 0), ("BMP", 0), ("JPEG", 12), ("WEBP", 24)])
    def test_channels_keep_their_order(self, kind: str, tolerance: int) -> None:
        pixels = decode_image(encoded(COLOUR, kind), "x").astype(int)
        assert np.abs(pixels - COLOUR).max() <= tolerance

    def test_adobe_cmyk_is_not_a_negative(self) -> None:
        red = Image.new("RGB", (16, 16), (255, 0, 0)).convert("CMYK")
        data = encoded(red, "JPEG")
        assert b"Adobe" in data
        assert np.abs(decode_image(data, "x")[8, 8].astype(int) - (255, 0, 0)).max() < 8

    def test_one_bit_becomes_black_and_white(self) -> None:
        bits = Image.fromarray(RAMP > 100)
        for kind in ("PNG", "TIFF", "BMP"):
            assert (grey(encoded(bits, kind), "x") == np.where(RAMP > 100, 255, 0)).all()

    def test_transparency_lies_on_black(self) -> None:
        layered = np.dstack([COLOUR, np.full_like(RAMP, 255)])
        layered[:, :10, 3] = 0
        pixels = decode_image(encoded(layered, "PNG"), "x")
        assert (pixels[:, :10] == 0).all()
        assert (pixels[:, 10:] == COLOUR[:, 10:]).all()

    def test_a_transparent_palette_entry_lies_on_black(self) -> None:
        image = Image.fromarray(RAMP).convert("P")
        image.info["transparency"] = image.getpixel((63, 0))
        assert decode_image(encoded(image, "PNG", transparency=image.info["transparency"]), "x")[0, 63].max() == 0

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation_is_applied_once(self, kind: str, orientation: int) -> None:
        upright = np.zeros((32, 48, 3), np.uint8)
        upright[:16, :16] = 255
        undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
        turn = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}
        stored = Image.fromarray(upright)
        if orientation > 1:
            stored = stored.transpose(Image.Transpose(turn[undo[orientation]]))
        exif = Image.Exif()
        exif[0x0112] = orientation
        pixels = decode_image(encoded(stored, kind, exif=exif), "x").astype(int)
        assert pixels.shape == upright.shape
        assert np.abs(pixels - upright).mean() < 3

    def test_a_damaged_exif_block_does_not_cost_the_picture(self) -> None:
        data = encoded(COLOUR, "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff\x00")
        assert decode_image(data, "x").shape == COLOUR.shape

    def test_the_first_picture_of_several_is_read(self) -> None:
        first, second = Image.new("L", (8, 8), 200), Image.new("L", (8, 8), 10)
        assert grey(encoded(first, "TIFF", save_all=True, append_images=[second]), "x").min() == 200
        phone = encoded(first.convert("RGB"), "MPO", save_all=True, append_images=[second.convert("RGB")])
        assert grey(phone, "x.jpg").min() > 195

    def test_the_content_counts_not_the_suffix(self, tmp_path: Path) -> None:
        path = tmp_path / "picture.jpg"
        path.write_bytes(encoded(COLOUR, "PNG"))
        assert (FileSource(path, "image").pixels() == COLOUR).all()

    def test_result_is_writeable_and_contiguous(self) -> None:
        for data in (encoded(COLOUR, "PNG"), encoded(RAMP.astype(np.uint16) * 257, "PNG")):
            pixels = decode_image(data, "x")
            assert pixels.flags.writeable
            assert pixels.flags.c_contiguous

    def test_suffixes_are_lower_case(self) -> None:
        assert {".jpg", ".png", ".tif", ".dcm", ".webp", ".bmp"} <= IMAGE_SUFFIXES
        assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)


class TestHostileFiles:
    @pytest.mark.parametrize(
        ("data", "error", "reason"),
        [
            (b"", UnreadableImageError, "empty"),
            (b"dear radiologist,\nthe picture follows by post", UnreadableImageError, "is no JPEG"),
            (encoded(RAMP, "GIF"), UnsupportedImageError, "GIF is not read"),
            (encoded(Image.fromarray(RAMP), "GIF", save_all=True, append_images=[Image.new("L", (64, 48))]),
             UnsupportedImageError, "GIF is not read"),
            (encoded(RAMP, "JPEG2000"), UnsupportedImageError, "JPEG 2000 is not read"),
            (encoded(Image.fromarray(COLOUR), "WEBP", save_all=True, append_images=[Image.new("RGB", (64, 48))]),
             UnsupportedImageError, "animation"),
            (encoded(Image.fromarray(COLOUR), "PNG", save_all=True, append_images=[Image.new("RGB", (64, 48))]),
             UnsupportedImageError, "animation"),
            (b"%PDF-1.7", UnsupportedImageError, "PDF is not read"),
            (b"\0" * 128 + b"DICM", UnreadableImageError, "no pixel data"),
        ],
    )  # fmt: skip
    def test_named_with_a_reason(self, data: bytes, error: type[ImageError], reason: str) -> None:
        with pytest.raises(error, match=reason) as caught:
            decode_image(data, "ward 3/x.jpg")
        assert str(caught.value).startswith("ward 3/x.jpg: ")
        assert "\n" not in str(caught.value)
        assert isinstance(caught.value, InputError)
        assert caught.value.exit_code == 2

    def test_text_named_dcm(self) -> None:
        for text in (b"dear radiologist", b"\0" * 200, b"\xff" * 500):
            with pytest.raises(UnreadableImageError):
                decode_image(text, "x.dcm")

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
    def test_cut_short(self, kind: str) -> None:
        data = encoded(np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8), kind)
        for share in (0.1, 0.5, 0.9):
            with pytest.raises(UnreadableImageError):
                decode_image(data[: int(len(data) * share)], "x")

    def test_cut_short_dicom(self) -> None:
        data = dicom(RAMP)
        for length in (131, 140, 300, len(data) // 2, len(data) - 10):
            with pytest.raises(UnreadableImageError):
                decode_image(data[:length], "x.dcm")

    def test_no_regular_file(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.png")
        for name, reason in (
            ("pipe.png", "not a regular file"),
            ("", "not a regular file"),
            ("gone.png", "No such file"),
        ):
            with pytest.raises(UnreadableImageError, match=reason):
                FileSource(tmp_path / name, "image").pixels()

    def test_errors_survive_pickling(self) -> None:
        error = pickle.loads(pickle.dumps(ImageTooLargeError("a.png", "too\nlarge")))  # noqa: S301 - our own bytes
        assert (error.name, error.reason, str(error)) == ("a.png", "too large", "a.png: too large")

    def test_mutated_files_raise_only_image_errors_and_print_nothing(self, capsys: pytest.CaptureFixture[str]) -> None:
        source = pydicom.dcmread(io.BytesIO(dicom(RAMP)))
        source.compress(RLELossless)
        runs = io.BytesIO()
        source.save_as(runs)
        seeds = [
            *(encoded(COLOUR, kind) for kind in ("JPEG", "PNG", "TIFF", "BMP", "WEBP")),
            encoded(COLOUR, "TIFF", compression="tiff_lzw"),
            encoded(COLOUR, "TIFF", compression="jpeg"),
            encoded(RAMP.astype(np.uint16) * 257, "TIFF"),
            encoded(Image.fromarray(COLOUR).quantize(16), "PNG"),
            dicom(RAMP.astype(np.uint16), RescaleSlope=2, RescaleIntercept=1, WindowCenter=100, WindowWidth=50),
            dicom(RAMP, ImplicitVRLittleEndian),
            dicom(encapsulate([encoded(RAMP, "JPEG")]), JPEGBaseline8Bit, RAMP.shape),
            runs.getvalue(),
        ]
        generator = np.random.default_rng(20)
        refused = 0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for round_ in range(40 * len(seeds)):
                data = bytearray(seeds[round_ % len(seeds)])
                reach = len(data) if round_ % 3 else min(len(data), 600)  # headers matter most
                for position in generator.integers(0, reach, int(generator.integers(1, 12))):
                    data[position] = generator.integers(0, 256)
                try:
                    pixels = decode_image(bytes(data), "mutant.dcm" if data[128:132] == b"DICM" else "mutant")
                except ImageError:
                    refused += 1
                else:
                    assert pixels.dtype == np.uint8
                    assert pixels.shape[2] == 3
        assert 40 < refused < 40 * len(seeds)
        assert capsys.readouterr() == ("", "")

    def test_random_bytes_after_a_magic(self) -> None:
        generator = np.random.default_rng(3)
        magics = (
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"II*\0",
            b"MM\0*",
            b"BM",
            b"RIFF\x40\0\0\0WEBPVP8X",
            b"\0" * 128 + b"DICM",
        )
        for magic in magics:
            for _ in range(10):
                with pytest.raises(ImageError):
                    decode_image(magic + generator.bytes(400), "x")

    def test_threads_leave_the_warning_filters_as_they_were(self) -> None:
        before = list(warnings.filters)
        data = encoded(COLOUR, "PNG")
        with ThreadPoolExecutor(4) as pool:
            assert all(shape == (48, 64, 3) for shape in pool.map(lambda _: decode_image(data, "x").shape, range(60)))
        assert warnings.filters == before
