"""Augmented views of an image: random crops, flips, rotations and colour changes that a seed fixes.

All that touches albumentations is here, since its 2.0 series has ended and its successor is under another licence.
"""

import hashlib
import os
import random
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from common.plan.groups import AugmentationPlan

# Without this, importing albumentations asks the network for a newer version. It is imported where it is used,
# since it takes over a second, and trainings whose activations are all in the cache never need it.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

# Several such processes share the machine: with a thread pool each they would slow each other down.
cv2.setNumThreads(1)


class Augmentation:
    """Random changes that depend on the seed, the view and the image alone.

    They do not depend on the order of the images, the number of workers or the site of an image: all arms of a
    comparison and all machines see the same views. Within a view all changes are drawn independently of each other, but
    for crop and rotation: a share of the views gets both, and the others stay as sharp as the image.
    """

    def __init__(self, plan: AugmentationPlan, size: int) -> None:
        import albumentations

        self._seed = plan.seed
        self._compose = albumentations.Compose(_transforms(plan, size))

    def apply(self, image: NDArray[np.uint8], image_digest: str, view: int) -> NDArray[np.uint8]:
        """Return view number `view`, shape (size, size, 3), of an image with the plan's `read_side`."""
        changed: NDArray[np.uint8] = self._change(image, image_digest, view)["image"]
        return changed

    def _change(self, image: NDArray[np.uint8], image_digest: str, view: int) -> dict[str, Any]:
        identity = hashlib.sha256(f"{self._seed}/{view}/{image_digest}".encode()).digest()
        # Not set_random_seed, which gives every change the same seed, and so the same draws.
        self._compose.set_random_state(
            np.random.Generator(np.random.PCG64(int.from_bytes(identity[:16], "big"))),
            random.Random(int.from_bytes(identity[16:], "big")),
        )
        changed: dict[str, Any] = self._compose(image=image)
        return changed


def _transforms(plan: AugmentationPlan, size: int) -> list[Any]:
    import albumentations

    shrinks = plan.read_side(size) > size
    blurring: list[Any] = []
    if plan.crop:
        blurring.append(
            albumentations.RandomResizedCrop(
                size=(size, size),
                scale=(1 - plan.crop, 1.0),
                ratio=(0.85, 1.18),
                area_for_downscale="image" if shrinks else None,
                p=1.0,
            )
        )
    if plan.rotation:
        # A reflected border avoids black corners, which a network would learn as a sign of augmentation.
        blurring.append(
            albumentations.Rotate(limit=(-plan.rotation, plan.rotation), border_mode=cv2.BORDER_REFLECT_101, p=1.0)
        )
    steps: list[Any] = [albumentations.Sequential(blurring, p=plan.share)] if blurring else []
    if shrinks:
        # The views that are not cropped: the others have that size. It draws no number, so that a view's other changes
        # are drawn alike whatever `read_scale` is.
        steps.append(albumentations.Resize(size, size, interpolation=cv2.INTER_AREA))
    if plan.horizontal_flip:
        steps.append(albumentations.HorizontalFlip(p=plan.horizontal_flip))
    if plan.vertical_flip:
        steps.append(albumentations.VerticalFlip(p=plan.vertical_flip))
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
