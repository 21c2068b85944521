"""A drawn picture, for tests."""

import numpy as np
from numpy.typing import NDArray


def scene(height: int = 64, width: int = 64) -> NDArray[np.uint8]:
    """Return a smooth picture: a gradient with a disc."""
    down, across = np.mgrid[0:height, 0:width]
    grey = 60 + 100 * across / width + 60 * ((down - 30) ** 2 + (across - 30) ** 2 < 150)
    return np.repeat(grey[:, :, None], 3, axis=2).astype(np.uint8)
