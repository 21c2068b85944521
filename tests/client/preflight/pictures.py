"""Drawn images that differ from each other as photographs do."""

import cv2
import numpy as np
from numpy.typing import NDArray


def picture(number: int, side: int = 200) -> NDArray[np.uint8]:
    """Return a blurred, noisy coloured picture, shape (side, side, 3); another for each number."""
    rng = np.random.default_rng(number)
    coarse = rng.uniform(60, 200, size=(10, 10, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth + rng.normal(0, 5, smooth.shape)).clip(1, 254).astype(np.uint8)
