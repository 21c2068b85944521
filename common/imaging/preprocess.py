"""From an image of any size to a network's input: resize, noise filter, normalisation."""

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from common.imaging.colour import has_colour
from common.plan.groups import DataPlan


def resize_and_denoise(image: NDArray[np.uint8], data: DataPlan, side: int = 0) -> NDArray[np.uint8]:
    """Resize an image to the side that it is read at, and filter its noise there.

    A filter's window has the same number of pixels at every side: at a larger one it smooths less tissue, and what is
    shrunk later loses more of its noise then.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        RGB, as it was decoded: `auto` looks for colour there, so that no resizing changes what it takes an image for.
    data : DataPlan
        `size` and `denoise` are read. The aspect ratio is not kept, as in the original study's protocol.
    side : int
        In pixels, instead of `size`: the plan's `read_side`. 0: `size`.

    Returns
    -------
    ndarray of uint8, shape (side, side, 3)
    """
    side = side or data.size
    shrinks = image.shape[0] > side or image.shape[1] > side
    # Of OpenCV's interpolations only averaging over areas shrinks without aliasing.
    resized = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return _denoise(resized, _filter_for(image) if data.denoise == "auto" else data.denoise)


def shrink(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return a square image with a side of at most its own `size` pixels, which averages areas; itself if it has it."""
    if image.shape[0] == size:
        return image
    return np.ascontiguousarray(cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _filter_for(image: NDArray[np.uint8]) -> str:
    # What is noise in the grain of a radiograph is texture in a photograph.
    return "none" if has_colour(image) else "median"


def _denoise(image: NDArray[Any], method: str) -> NDArray[np.uint8]:
    if method == "median":
        image = cv2.medianBlur(image, 3)
    elif method == "bilateral":
        # Smooths over 5 pixels, but not across steps of more than about 25 of 255 levels.
        image = cv2.bilateralFilter(image, d=5, sigmaColor=25, sigmaSpace=5)
    elif method == "nlm":
        # Buades et al. 2005; strength 3 removes sensor noise and keeps the texture of skin and lung.
        image = cv2.fastNlMeansDenoisingColored(image, None, h=3, hColor=3, templateWindowSize=7, searchWindowSize=15)
    return np.ascontiguousarray(image, dtype=np.uint8)


def normalise(images: NDArray[np.uint8], mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """Turn RGB bytes into a network's input.

    Parameters
    ----------
    images : ndarray of uint8, shape (N, H, W, 3)
    mean, std : tuple of 3 floats
        Of the values scaled to [0, 1]; the model's own `pretrained_cfg`.

    Returns
    -------
    Tensor of float32, shape (N, 3, H, W), channels last in memory
    """
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)
    shape = (1, 3, 1, 1)
    return pixels.sub_(torch.tensor(mean).view(shape)).div_(torch.tensor(std).view(shape))
