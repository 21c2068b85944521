"""Is there text in an image? Searches for rows of letter-like shapes, without reading them.

Letters that a device burns in have one ink value, much brighter or darker than their surroundings, and stand in a row
with one base line and about one height. Hairs are too long for that, vessels and pores have no common line, and the
ticks of a ruler are narrower than letters. Small letters in a large image are missed, since it is searched with a
longer side of 1024 pixels. Calibrated on 200 phantoms, 200 dermoscopy images and 200 chest X-rays.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

LEAST_LETTERS = 3
"""An image with this many letters in a row is suspected: a single side marker is no text, a date is."""

_LONGER_SIDE = 1024
_STROKE = 15  # pixels; what is wider than this is no stroke of a letter
_LEAST_CONTRAST = 50  # grey values between a stroke's edge and its ground
_INK_CONTRAST = 80  # the same for the most distinct fifth of a shape
_HEIGHTS = (7, 64)
_WIDEST = 1.6  # of the height; two letters that touch
_NARROWEST = 0.35  # what is narrower may be an I or 1 as well as a ruler's tick
_FULLEST = 0.75  # share of its box; a blot fills more
_MOST_SHAPES = 2000  # with more this is a texture


class _Shape(NamedTuple):
    left: int
    top: int
    width: int
    height: int
    filled: float
    ink: float

    @property
    def right(self) -> int:
        return self.left + self.width

    @property
    def base(self) -> int:
        return self.top + self.height

    @property
    def is_letter(self) -> bool:
        return self.width >= _NARROWEST * self.height and self.filled <= _FULLEST

    def stands_beside(self, other: "_Shape") -> bool:
        """Say whether this may be the next letter after `other`."""
        return (
            self.left - other.right >= -1
            and abs(self.base - other.base) <= max(1.0, 0.2 * other.height)
            and 0.6 <= self.height / other.height <= 1.6
            and abs(self.ink - other.ink) <= 40
        )


def count_letters(pixels: NDArray[np.uint8]) -> int:
    """Return the number of letter-like shapes in the longest row of an RGB image, shape (H, W, 3)."""
    scale = _LONGER_SIDE / max(pixels.shape[:2])
    if scale < 1:
        pixels = np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    channels = [np.ascontiguousarray(pixels[..., channel]) for channel in range(3)]
    # In grey alone, green letters vanish on skin; a grey image has three equal channels, of which one is enough.
    distinct = channels[: 1 if all(np.array_equal(channels[0], each) for each in channels[1:]) else 3]
    hats = (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT)
    return max(_longest_row(_find_shapes(channel, hat)) for channel in distinct for hat in hats)


def _find_shapes(channel: NDArray[np.uint8], hat: int) -> list[_Shape]:
    """Return shapes of the size and contrast of letters, from left to right; `hat` selects bright or dark ones."""
    contrast = cv2.morphologyEx(channel, hat, cv2.getStructuringElement(cv2.MORPH_RECT, (_STROKE, _STROKE)))
    mask = (contrast > _LEAST_CONTRAST).astype(np.uint8)
    _, numbers, boxes, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    lefts, tops, widths, heights, areas = boxes.T
    rows, columns = channel.shape
    fits = (heights >= _HEIGHTS[0]) & (heights <= _HEIGHTS[1]) & (widths >= 2) & (widths <= _WIDEST * heights)
    inside = (lefts > 0) & (tops > 0) & (lefts + widths < columns) & (tops + heights < rows)
    chosen = np.flatnonzero(fits & inside & (areas >= _HEIGHTS[0]))
    chosen = chosen[chosen > 0]  # 0 is the ground
    if len(chosen) > _MOST_SHAPES:
        return []
    shapes = []
    for number in chosen:
        left, top, width, height, area = (int(value) for value in boxes[number])
        box = np.s_[top : top + height, left : left + width]
        ink = numbers[box] == number
        # Most shapes have no distinct pixel at all, and a quantile is dear.
        values = contrast[box][ink]
        if values.max() >= _INK_CONTRAST and np.quantile(values, 0.8) >= _INK_CONTRAST:
            value = float(np.median(channel[box][ink]))
            shapes.append(_Shape(left, top, width, height, area / (width * height), value))
    return sorted(shapes)


def _longest_row(shapes: list[_Shape]) -> int:
    longest = 0
    for index, first in enumerate(shapes):
        row = [first]
        for shape in shapes[index + 1 :]:
            if shape.left - row[-1].right > 1.2 * first.height:
                break
            if shape.stands_beside(row[-1]):
                row.append(shape)
        letters = sum(shape.is_letter for shape in row)
        if 2 * letters >= len(row):  # otherwise a ruler with a hair across it
            longest = max(longest, letters)
    return longest
