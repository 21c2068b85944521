"""Scales grey values of any type and depth to 8 bits."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_DEPTHS = (8, 10, 12, 14, 16)


def by_bit_depth(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale non-negative integers by the smallest usual bit depth that holds the brightest of them.

    X-ray detectors deliver 10, 12 or 14 bits, and their pictures are commonly stored unscaled in 16-bit files that do
    not say so. Division by 65535 would leave 16 nearly black grey levels of a 12-bit picture; stretching each picture
    from its own darkest to its own brightest pixel would erase differences of exposure that a classifier may need. The
    depth in use is exact for full-range pictures of every depth, and wrong by a factor of at most 4 for a picture that
    leaves the upper part of its range empty.

    Parameters
    ----------
    values : ndarray of unsigned or non-negative integers
        Any shape; values above 65535 count as 65535.

    Returns
    -------
    ndarray of uint8
        Same shape.
    """
    brightest = int(values.max(initial=0))
    depth = next((d for d in _DEPTHS if brightest < 2**d), _DEPTHS[-1])
    return by_range(values, 0.0, float(2**depth - 1))


def by_range(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map `low` to 0 and `high` to 255 linearly, clipping beyond; NaN becomes 0.

    Parameters
    ----------
    values : ndarray of real numbers
        Any shape.
    low, high : float
        Must be finite; when `high` is not above `low` the picture has no contrast and becomes 0.

    Returns
    -------
    ndarray of uint8
        Same shape.
    """
    if not high > low:
        return np.zeros(values.shape, np.uint8)
    # float32 holds 16-bit values exactly, at half the memory of a large X-ray
    scaled: NDArray[Any] = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    with np.errstate(all="ignore"):
        scaled -= low
        scaled *= 255.0 / (high - low)
    np.clip(np.nan_to_num(scaled, copy=False, nan=0.0), 0.0, 255.0, out=scaled)
    eight_bit: NDArray[np.uint8] = np.rint(scaled, out=scaled).astype(np.uint8)
    return eight_bit


def by_percentiles(values: NDArray[Any], measured: NDArray[np.bool_] | None = None) -> NDArray[np.uint8]:
    """Map the 0.5th percentile to 0 and the 99.5th to 255, for pictures without a declared range.

    Percentiles rather than the extremes, because a single dead pixel, a lead marker or a metal implant would
    otherwise push the tissue into a few grey levels. A picture in which they coincide falls back on its extremes.

    Parameters
    ----------
    values : ndarray of real numbers
        Any shape; values that are not finite are left out of the percentiles.
    measured : ndarray of bool, optional
        Same shape; False where a pixel is padding and does not count.

    Returns
    -------
    ndarray of uint8
        Same shape; all 0 when no value is finite, or when all are equal.
    """
    counted = np.isfinite(values) if measured is None else np.isfinite(values) & measured
    seen = values[counted]
    if seen.size == 0:
        return np.zeros(values.shape, np.uint8)
    low, high = (float(bound) for bound in np.percentile(seen, (0.5, 99.5)))
    if not high > low:
        low, high = float(seen.min()), float(seen.max())
    return by_range(values, low, high)


def real_to_uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Scale integers or floating-point numbers of unknown meaning to 8 bits.

    Fractions within 0..1 are taken as the share of full brightness, whole numbers within 0..65535 are scaled by their
    bit depth (`by_bit_depth`), and everything else (Hounsfield units, physical quantities) by its percentiles.

    Parameters
    ----------
    values : ndarray of real numbers
        Any shape.

    Returns
    -------
    ndarray of uint8
        Same shape.
    """
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return np.zeros(values.shape, np.uint8)
    lowest, highest = float(finite.min()), float(finite.max())
    whole = bool(np.issubdtype(values.dtype, np.integer)) or bool((finite == np.rint(finite)).all())
    if lowest >= 0 and highest <= 1 and not np.issubdtype(values.dtype, np.integer):
        return by_range(values, 0.0, 1.0)
    if lowest >= 0 and highest <= 65535 and whole:
        return by_bit_depth(np.nan_to_num(values, copy=True, nan=0.0, posinf=highest, neginf=0.0))
    return by_percentiles(values)
