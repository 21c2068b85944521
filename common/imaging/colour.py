"""Tells coloured images from grey ones."""

import cv2
import numpy as np
from numpy.typing import NDArray

# JPEG noise gives a grey picture a mean difference between channels below this, of 255.
_GREY = 2.0


def has_colour(image: NDArray[np.uint8]) -> bool:
    """Say whether the channels of an RGB image, shape (H, W, 3), differ by more than JPEG's noise makes them."""
    red, green, blue = (image[..., channel] for channel in range(3))
    return float(cv2.absdiff(red, green).mean() + cv2.absdiff(green, blue).mean()) / 2 > _GREY
