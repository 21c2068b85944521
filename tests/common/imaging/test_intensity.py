"""Deep grey pictures become 8-bit ones."""

import numpy as np
import pytest

from tests.common.imaging.encoded_images import RAMP, encoded, grey


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
