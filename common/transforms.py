"""From an image of any size to a network's input: resize, noise filter, augmentation, normalisation."""

import hashlib
import os
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from common.plan import AugmentationPlan, DataPlan

# Importing albumentations asks the network for a newer version unless this is set.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
import albumentations

# Every process here is one of several on the machine: OpenCV's own thread pool would only fight with theirs.
cv2.setNumThreads(1)


def resize_and_denoise(image: NDArray[np.uint8], data: DataPlan) -> NDArray[np.uint8]:
    """Bring an image to the plan's size and filter its noise.

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
    # Averaging over areas is the one interpolation of OpenCV that does not alias when it shrinks.
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


class Augmentation:
    """Random changes that depend on the seed, the view and the image alone.

    Neither the order of the images, nor the number of workers, nor the site an image lies in plays a part, so that all
    arms of a comparison and all machines see the same views.
    """

    def __init__(self, plan: AugmentationPlan, size: int) -> None:
        self._seed = plan.seed
        self._compose = albumentations.Compose(_transforms(plan, size))

    def apply(self, image: NDArray[np.uint8], image_digest: str, view: int) -> NDArray[np.uint8]:
        """Return view number `view` of an image of shape (size, size, 3)."""
        identity = hashlib.sha256(f"{self._seed}/{view}/{image_digest}".encode()).digest()
        self._compose.set_random_seed(int.from_bytes(identity[:4], "big"))
        changed: NDArray[np.uint8] = self._compose(image=image)["image"]
        return changed


def _transforms(plan: AugmentationPlan, size: int) -> list[Any]:
    steps: list[Any] = []
    if plan.crop:
        steps.append(
            albumentations.RandomResizedCrop(
                size=(size, size), scale=(1 - plan.crop, 1.0), ratio=(0.85, 1.18), p=plan.share
            )
        )
    if plan.horizontal_flip:
        steps.append(albumentations.HorizontalFlip(p=plan.horizontal_flip))
    if plan.vertical_flip:
        steps.append(albumentations.VerticalFlip(p=plan.vertical_flip))
    if plan.rotation:
        # Reflecting the border keeps black corners out, which a network would learn as a sign of augmentation.
        steps.append(
            albumentations.Rotate(
                limit=(-plan.rotation, plan.rotation), border_mode=cv2.BORDER_REFLECT_101, p=plan.share
            )
        )
    if plan.brightness or plan.contrast:
        steps.append(
            albumentations.RandomBrightnessContrast(
                brightness_limit=(-plan.brightness, plan.brightness),
                contrast_limit=(-plan.contrast, plan.contrast),
                p=1.0,
            )
        )
    if plan.hue or plan.saturation:
        saturation = round(plan.saturation * 100)
        steps.append(
            albumentations.HueSaturationValue(
                hue_shift_limit=(-plan.hue, plan.hue),
                sat_shift_limit=(-saturation, saturation),
                val_shift_limit=(0, 0),
                p=1.0,
            )
        )
    if plan.blur:
        steps.append(albumentations.GaussianBlur(sigma_limit=(0.3, 1.2), p=plan.blur))
    if plan.noise:
        steps.append(albumentations.GaussNoise(std_range=(0.01, 0.04), p=plan.noise))
    return steps
