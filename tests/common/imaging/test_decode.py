"""Every format a hospital may send becomes RGB, and every file it should not have sent becomes a typed error."""

import io
import os
import pickle
import struct
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLSLossless,
    RLELossless,
)

from common.errors import InputError
from common.imaging.decode import IMAGE_SUFFIXES, decode_image, read_image
from common.imaging.errors import ImageError, ImageTooLargeError, UnreadableImageError, UnsupportedImageError
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
        assert (read_image(path) == COLOUR).all()

    def test_result_is_writeable_and_contiguous(self) -> None:
        for data in (encoded(COLOUR, "PNG"), encoded(RAMP.astype(np.uint16) * 257, "PNG")):
            pixels = decode_image(data, "x")
            assert pixels.flags.writeable
            assert pixels.flags.c_contiguous

    def test_suffixes_are_lower_case(self) -> None:
        assert {".jpg", ".png", ".tif", ".dcm", ".webp", ".bmp"} <= IMAGE_SUFFIXES
        assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in IMAGE_SUFFIXES)


class TestDeepGrey:
    @pytest.mark.parametrize("kind", ["PNG", "TIFF"])
    @pytest.mark.parametrize("depth", [10, 12, 14, 16])
    def test_bits_in_use_span_the_whole_range(self, kind: str, depth: int) -> None:
        values = (RAMP.astype(np.float64) / RAMP.max() * (2**depth - 1)).round().astype(np.uint16)
        assert np.abs(grey(encoded(values, kind), "x") - RAMP / RAMP.max() * 255).max() <= 1

    def test_exposure_of_two_pictures_of_one_detector_stays_comparable(self) -> None:
        bright, dark = (encoded(np.full((8, 8), value, np.uint16), "PNG") for value in (4000, 2000))
        assert grey(bright, "x")[0, 0] == pytest.approx(2 * grey(dark, "x")[0, 0], abs=125)
        assert grey(bright, "x")[0, 0] > grey(dark, "x")[0, 0]

    def test_white_is_zero_is_turned_round(self) -> None:
        values = RAMP.astype(np.uint16) * 257
        assert (grey(encoded(values, "TIFF", tiffinfo={262: 0}), "x") == 255 - grey(encoded(values, "TIFF"), "x")).all()

    def test_float_shares_and_integers(self) -> None:
        share = (RAMP / 255).astype(np.float32)
        assert np.abs(grey(encoded(share, "TIFF"), "x") - RAMP).max() <= 1
        assert np.abs(grey(encoded(RAMP.astype(np.int32) * 257, "TIFF"), "x") - RAMP).max() <= 1

    def test_negative_values_keep_their_order(self) -> None:
        hounsfield = np.tile(np.linspace(-1000, 1000, 64).astype(np.int32), (48, 1))
        shown = grey(encoded(hounsfield, "TIFF"), "x")
        assert (np.diff(shown[0]) >= 0).all()
        assert shown[0, 0] == 0
        assert shown[0, -1] == 255

    def test_not_a_number_is_black(self) -> None:
        share = (RAMP / 255).astype(np.float32)
        share[0, 0], share[0, 1] = np.nan, np.inf
        shown = grey(encoded(share, "TIFF"), "x")
        assert shown[0, 0] == 0
        assert shown[0, 1] == 255
        assert grey(encoded(np.full((4, 4), np.nan, np.float32), "TIFF"), "x").max() == 0


class TestDicom:
    @pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    def test_eight_bit_values_are_taken_as_they_are(self, syntax: UID) -> None:
        assert (grey(dicom(RAMP // 2, syntax)) == RAMP // 2).all()

    def test_big_endian(self) -> None:
        values = (RAMP.astype(np.uint16) * 16).byteswap()
        shown = grey(dicom(values, ExplicitVRBigEndian, WindowCenter=2048, WindowWidth=4096))
        assert np.abs(shown - RAMP).max() <= 1

    def test_monochrome1_is_inverted(self) -> None:
        assert (grey(dicom(RAMP, PhotometricInterpretation="MONOCHROME1")) == 255 - RAMP.astype(int)).all()

    def test_window_after_rescale(self) -> None:
        stored = np.tile(np.arange(0, 2048, 32, dtype=np.uint16), (48, 1))
        data = dicom(stored, RescaleSlope=1, RescaleIntercept=-1024, WindowCenter=40, WindowWidth=400)
        hounsfield = stored.astype(float) - 1024
        expected = np.clip((hounsfield - 39.5) / 399 + 0.5, 0, 1) * 255
        assert np.abs(grey(data) - expected).max() <= 0.51

    def test_signed_values_and_the_first_of_several_windows(self) -> None:
        stored = np.tile(np.linspace(-500, 500, 64).astype(np.int16), (48, 1))
        data = dicom(stored, WindowCenter=[0, 100], WindowWidth=[1001, 10])
        assert np.abs(grey(data)[0] - np.linspace(0, 255, 64)).max() <= 1

    def test_linear_exact_and_sigmoid_and_width_one(self) -> None:
        stored = np.tile(np.arange(64, dtype=np.uint16) * 64, (48, 1))
        window: dict[str, Any] = {"WindowCenter": 2048, "WindowWidth": 2048}
        exact = grey(dicom(stored, VOILUTFunction="LINEAR_EXACT", **window))[0]
        assert np.abs(exact - np.clip((stored[0].astype(float) - 1024) / 2048, 0, 1) * 255).max() <= 0.51
        sigmoid = grey(dicom(stored, VOILUTFunction="SIGMOID", **window))[0]
        assert np.abs(sigmoid - 255 / (1 + np.exp(-4 * (stored[0] - 2048.0) / 2048))).max() <= 0.51
        step = grey(dicom(stored, WindowCenter=2048, WindowWidth=1))[0]
        assert (step == np.where(stored[0] > 2047, 255, 0)).all()

    @pytest.mark.parametrize("window", [{}, {"WindowCenter": "40", "WindowWidth": "0"}, {"WindowCenter": "40"}])
    def test_without_a_usable_window_robust_percentiles(self, window: dict[str, Any]) -> None:
        stored = np.tile(np.linspace(1000, 3000, 64).astype(np.uint16), (48, 1))
        stored[0, 0] = 65535  # one dead pixel
        shown = grey(dicom(stored, **window))[1]
        assert shown[0] == 0
        assert shown[-1] == 255
        assert np.abs(shown - np.linspace(0, 255, 64)).max() < 6

    def test_padding_is_black_and_does_not_count(self) -> None:
        for photometric in ("MONOCHROME1", "MONOCHROME2"):
            stored = np.tile(np.linspace(1000, 3000, 64).astype(np.uint16), (48, 1))
            stored[:24] = 60000
            shown = grey(dicom(stored, PixelPaddingValue=60000, PhotometricInterpretation=photometric))
            assert shown[:24].max() == 0
            assert {shown[30].min(), shown[30].max()} == {0, 255}

    def test_voi_lut(self) -> None:
        item = Dataset()
        item.LUTDescriptor = [256, 0, 16]
        item.LUTData = list(range(65535, -1, -257))
        item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
        assert (grey(dicom(RAMP, VOILUTSequence=[item])) == 255 - RAMP.astype(int)).all()

    def test_modality_lut(self) -> None:
        item = Dataset()
        item.LUTDescriptor = [256, 0, 16]
        item.LUTData = [2 * value for value in range(256)]
        item.ModalityLUTType = "US"
        item["LUTDescriptor"].VR = item["LUTData"].VR = "US"
        shown = grey(dicom(RAMP, ModalityLUTSequence=[item], WindowCenter=256, WindowWidth=512))
        assert np.abs(shown - RAMP).max() <= 1

    def test_rgb_and_planes_and_ybr(self) -> None:
        assert (decode_image(dicom(COLOUR), "x") == COLOUR).all()
        planes = COLOUR.transpose(2, 0, 1).tobytes()
        assert (decode_image(dicom(planes, shape=COLOUR.shape, PlanarConfiguration=1), "x") == COLOUR).all()
        ybr = np.asarray(Image.fromarray(COLOUR).convert("YCbCr"))
        shown = decode_image(dicom(ybr, PhotometricInterpretation="YBR_FULL"), "x").astype(int)
        assert np.abs(shown - COLOUR).max() <= 3

    def test_palette(self) -> None:
        tables: dict[str, Any] = {}
        for name, scale in (("Red", 257), ("Green", 0), ("Blue", 128)):
            tables[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
            tables[f"{name}PaletteColorLookupTableData"] = (np.arange(256, dtype="<u2") * scale).tobytes()
        pixels = decode_image(dicom(RAMP, PhotometricInterpretation="PALETTE COLOR", **tables), "x")
        assert (pixels[..., 0] == RAMP).all()
        assert pixels[..., 1].max() == 0
        assert np.abs(pixels[..., 2].astype(int) - RAMP / 2).max() <= 1

    def test_the_first_frame_is_read(self) -> None:
        frames = np.stack([RAMP, 255 - RAMP])
        assert (grey(dicom(frames.tobytes(), shape=RAMP.shape, NumberOfFrames=2)) == RAMP).all()

    def test_compressed_grey_and_colour(self) -> None:
        jpeg = encapsulate([encoded(RAMP, "JPEG")])
        assert np.abs(grey(dicom(jpeg, JPEGBaseline8Bit, RAMP.shape)) - RAMP).max() <= 2
        coloured = encapsulate([encoded(COLOUR, "JPEG")])
        data = dicom(coloured, JPEGBaseline8Bit, COLOUR.shape, PhotometricInterpretation="YBR_FULL_422")
        assert np.abs(decode_image(data, "x").astype(int) - COLOUR).max() <= 14
        wavelets = encapsulate([encoded(RAMP, "JPEG2000", no_jp2=True)])
        assert (grey(dicom(wavelets, JPEG2000Lossless, RAMP.shape)) == RAMP).all()

    def test_run_lengths(self) -> None:
        source = pydicom.dcmread(io.BytesIO(dicom(RAMP)))
        source.compress(RLELossless)
        stream = io.BytesIO()
        source.save_as(stream)
        assert (grey(stream.getvalue()) == RAMP).all()

    def test_known_by_content_and_by_suffix(self, tmp_path: Path) -> None:
        bare = tmp_path / "IM000001"
        bare.write_bytes(dicom(RAMP))
        assert read_image(bare).shape == (48, 64, 3)
        without_preamble = dicom(RAMP, ImplicitVRLittleEndian)
        meta_length = struct.unpack("<I", without_preamble[140:144])[0]
        old = tmp_path / "old.DCM"
        old.write_bytes(without_preamble[144 + meta_length :])
        assert (read_image(old)[..., 0] == RAMP).all()

    def test_a_missing_decoder_is_named(self) -> None:
        data = dicom(encapsulate([b"\xff\xd8\xff\xf7 not really"]), JPEGLSLossless, RAMP.shape)
        with pytest.raises(UnsupportedImageError, match="JPEG-LS Lossless"):
            decode_image(data, "x")

    def test_twelve_bit_jpeg_is_named_rather_than_called_damaged(self) -> None:
        jpeg = encapsulate([encoded(RAMP, "JPEG")])
        assert np.abs(grey(dicom(jpeg, JPEGExtended12Bit, RAMP.shape)) - RAMP).max() <= 2
        with pytest.raises(UnsupportedImageError, match="JPEG Extended"):
            decode_image(dicom(jpeg, JPEGExtended12Bit, RAMP.shape, BitsAllocated=16, BitsStored=12), "x")

    def test_deflated_and_unknown_syntaxes_are_refused(self) -> None:
        with pytest.raises(UnsupportedImageError, match="deflated"):
            decode_image(dicom(RAMP, DeflatedExplicitVRLittleEndian), "x")
        data = dicom(RAMP).replace(b"1.2.840.10008.1.2.1\x00", b"1.2.840.10008.9.9.9\x00")
        with pytest.raises(UnsupportedImageError, match=r"1\.2\.840\.10008\.9\.9\.9"):
            decode_image(data, "x")

    def test_no_pixels_or_no_size(self) -> None:
        source = pydicom.dcmread(io.BytesIO(dicom(RAMP)))
        for keyword, reason in (("Rows", "rows and columns"), ("PixelData", "no pixel data")):
            del source[keyword]
            stream = io.BytesIO()
            source.save_as(stream)
            with pytest.raises(UnreadableImageError, match=reason):
                decode_image(stream.getvalue(), "x")

    def test_no_patient_data_in_the_message(self) -> None:
        data = dicom(RAMP)
        with pytest.raises(ImageError) as caught:
            decode_image(data[: len(data) - 500], "x.dcm")
        assert "CANARY" not in str(caught.value)


class TestLimits:
    def test_file_size_is_checked_before_reading(self, tmp_path: Path) -> None:
        path = tmp_path / "huge.png"
        with path.open("wb") as stream:
            stream.truncate(2**40)  # sparse: a terabyte that takes no space
        with pytest.raises(ImageTooLargeError, match="bytes"):
            read_image(path)

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
                read_image(tmp_path / name)

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
