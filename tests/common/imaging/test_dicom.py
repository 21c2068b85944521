"""DICOM files come out as a screen shows them."""

import io
import re
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gdcm
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import (
    HTJ2K,
    MPEG2MPML,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from common.dataset.image_source import FileSource
from common.imaging.decode import decode_image
from common.imaging.errors import ImageError, UnreadableImageError, UnsupportedImageError
from tests.common.imaging.encoded_images import COLOUR, RAMP, dicom, encoded, grey


def pixel_test_file(name: str) -> Path:
    """Return a file that comes with pydicom."""
    path = get_testdata_file(name, download=False)
    assert isinstance(path, str)
    return Path(path)


def _transcoded(plain: bytes, syntax: UID) -> bytes:
    """Write a DICOM file anew with another compression, by a library that rarefed itself does not write with."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "plain.dcm", Path(folder) / "packed.dcm"
        before.write_bytes(plain)
        reader = gdcm.ImageReader()
        reader.SetFileName(str(before))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(str(syntax))))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(after))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()
        return after.read_bytes()


@pytest.fixture
def without_decoders() -> Iterator[None]:
    """Take the extra's decoders away from pydicom, as where it is not installed."""
    taken = []
    for syntax in (JPEGExtended12Bit, JPEGLosslessSV1, JPEGLSLossless, HTJ2K):
        decoder = get_decoder(syntax)
        for label in ("gdcm", "pyjpegls", "pylibjpeg"):
            if label in decoder.available_plugins:
                taken.append((decoder, label, decoder._available[label]))
                decoder.remove_plugin(label)
    yield
    for decoder, label, function in taken:
        decoder._available[label] = function


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
        assert FileSource(bare, bare.name).pixels().shape == (48, 64, 3)
        without_preamble = dicom(RAMP, ImplicitVRLittleEndian)
        meta_length = struct.unpack("<I", without_preamble[140:144])[0]
        old = tmp_path / "old.DCM"
        old.write_bytes(without_preamble[144 + meta_length :])
        assert (FileSource(old, old.name).pixels()[..., 0] == RAMP).all()

    @pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEGLosslessSV1, HTJ2K])
    def test_the_extra_is_named_where_a_decoder_is_missing(self, syntax: UID, without_decoders: None) -> None:
        data = dicom(encapsulate([b"\xff\xd8\xff\xf7 not really"]), syntax, RAMP.shape, BitsAllocated=16, BitsStored=12)
        with pytest.raises(UnsupportedImageError, match=f"{re.escape(syntax.name)}; pip install 'rarefed\\[dicom\\]'"):
            decode_image(data, "x")

    def test_eight_bit_extended_jpeg_needs_no_further_decoder(self, without_decoders: None) -> None:
        jpeg = encapsulate([encoded(RAMP, "JPEG")])
        assert np.abs(grey(dicom(jpeg, JPEGExtended12Bit, RAMP.shape)) - RAMP).max() <= 2

    @pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEGLosslessSV1])
    def test_the_extras_decoders_read_sixteen_bits_without_loss(self, syntax: UID) -> None:
        plain = (pixel_test_file("MR_small.dcm")).read_bytes()
        packed = _transcoded(plain, syntax)
        assert len(packed) != len(plain)
        assert (grey(packed) == grey(plain)).all()

    def test_twelve_bit_jpeg_is_named_rather_than_called_damaged(self) -> None:
        data = _transcoded(dicom(RAMP.astype(np.uint16) * 16, BitsStored=12), JPEGExtended12Bit)
        with pytest.raises(UnsupportedImageError, match=r"JPEG Extended .*; export it uncompressed$"):
            decode_image(data, "x")

    @pytest.mark.parametrize(
        "name", ["MR_small_jpeg_ls_lossless.dcm", "JPEGLSNearLossless_16.dcm", "SC_rgb_jls_lossy_line.dcm"]
    )
    def test_jpeg_ls_of_other_writers(self, name: str) -> None:
        assert np.ptp(decode_image(pixel_test_file(name).read_bytes(), name)) > 100

    @pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEGLosslessSV1])
    def test_another_size_than_announced_is_refused_before_it_is_unpacked(self, syntax: UID) -> None:
        source = pydicom.dcmread(io.BytesIO(_transcoded(dicom(RAMP), syntax)))
        source.Rows = RAMP.shape[0] // 2
        stream = io.BytesIO()
        source.save_as(stream)
        with pytest.raises(UnreadableImageError, match="another size"):
            decode_image(stream.getvalue(), "x")

    def test_damaged_compressed_pixels(self) -> None:
        jpeg = encapsulate([b"\xff\xd8\xff\xf7\0\x0b\x08\0\x30\0\x40\1\0\x11\0 not really"])
        with pytest.raises(UnreadableImageError, match="damaged"):
            decode_image(dicom(jpeg, JPEGLSLossless, RAMP.shape), "x")

    def test_a_compression_that_no_extra_reads_is_named(self) -> None:
        data = dicom(encapsulate([b"\0\0\1\xb3"]), MPEG2MPML, RAMP.shape)
        with pytest.raises(
            UnsupportedImageError, match="MPEG2 Main Profile / Main Level, is not read; export it uncompressed"
        ):
            decode_image(data, "x")

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
