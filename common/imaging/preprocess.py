"""From an image of any size to a network's input: resize, noise filter, normalisation."""

from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from common.plan.groups import DataPlan


def resize_and_denoise(image: NDArray[np.uint8], data: DataPlan) -> NDArray[np.uint8]:
    """Resize an image to the plan's size and filter its noise.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        RGB.
    data : DataPlan
        `size` and `denoise` are read. The aspect ratio is not kept, as in the original study's protocol.

    Returns
    -------
    ndarray of uint8, shape (size, size, 3)
    """
    size = data.size
    shrinks = image.shape[0] > size or image.shape[1] > size
    # Of OpenCV's interpolations only averaging over areas shrinks without aliasing.
    resized = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return _denoise(resized, data.denoise)


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
