"""What the tail is trained on: the trunk's activations of each image's augmented views."""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray

from common.cache import TensorCache
from common.manifest import ImageRecord
from common.models import Classifier
from common.plan import TrainingPlan
from common.transforms import Augmentation, normalise, resize_and_denoise

_LIBRARIES = ("torch", "timm", "albumentations", "opencv-python-headless", "pillow", "numpy")
_IMAGES_IN_MEMORY = 2048  # resized to 224 pixels: 300 MB


class Views:
    """The inputs of a model's tail, batch by batch.

    The trunk is frozen, so that its activations of a given view never change: with a fixed number of views an image, they
    are computed once, kept by content digest, and shared by every round, arm, run and process. All views of one image are
    computed together in one batch, so that an activation does not depend, not even in its last bit, on the company the
    image happened to be in.

    Parameters
    ----------
    plan : TrainingPlan
        `data.*`, `augmentation.*`, `training.seed` and `training.precision` are read.
    model : Classifier
        Its trunk is moved to `device`.
    device : torch.device
        Where trunk and tail compute.
    cache : TensorCache or None
        None computes everything anew.
    """

    def __init__(self, plan: TrainingPlan, model: Classifier, device: torch.device, cache: TensorCache | None) -> None:
        self._plan = plan
        self._device = device
        self._mean, self._std = model.mean, model.std
        self._has_trunk = len(model.trunk) > 0
        self._dtype = _trunk_dtype(plan, device)
        self._trunk = model.trunk.to(device=device, dtype=self._dtype, memory_format=torch.channels_last)
        self._augmentation = Augmentation(plan.augmentation, plan.data.size, plan.training.seed)
        self._views = plan.augmentation.views
        # Without a trunk the activations are the images themselves: cheaper to compute than to keep.
        self._cache = cache if self._has_trunk and self._views else None
        self._recipe = self._recipe_digest(model.trunk_digest) if self._cache else ""
        self._canonical = lru_cache(maxsize=_IMAGES_IN_MEMORY)(self._read)

    def training_batch(self, records: Sequence[ImageRecord], pass_index: int) -> torch.Tensor:
        """Return the tail's inputs for one batch of training images.

        Parameters
        ----------
        records : sequence of ImageRecord
            The batch.
        pass_index : int
            How often the images were seen before: picks the view.

        Returns
        -------
        Tensor of float32, shape (N, channels, height, width), on the device
        """
        view = pass_index % self._views if self._views else pass_index
        if self._cache is None:
            pixels = [self._augmentation.apply(self._canonical(r), r.sha256, view) for r in records]
            return self._activations(np.stack(pixels)).float()
        return self._cached(records, f"view{view}")

    def plain_batch(self, records: Sequence[ImageRecord]) -> torch.Tensor:
        """Return the tail's inputs for unchanged images, for scoring; same shape as `training_batch`."""
        if self._cache is None:
            return self._activations(np.stack([self._canonical(record) for record in records])).float()
        return self._cached(records, "plain")

    def _cached(self, records: Sequence[ImageRecord], name: str) -> torch.Tensor:
        batch = torch.stack([self._entry(record, name) for record in records])
        return batch.to(self._device, torch.float32, memory_format=torch.channels_last)

    def _entry(self, record: ImageRecord, name: str) -> torch.Tensor:
        assert self._cache is not None
        key = hashlib.sha256(f"{self._recipe}/{record.sha256}".encode()).hexdigest()
        stored = self._cache.read(key, name) if self._cache.has(key) else None
        if stored is None:
            image = self._canonical(record)
            views = [self._augmentation.apply(image, record.sha256, view) for view in range(self._views)]
            computed = self._activations(np.stack([image, *views])).cpu()
            names = ("plain", *(f"view{view}" for view in range(self._views)))
            entry = dict(zip(names, computed, strict=True))
            self._cache.write(key, entry)
            stored = entry[name]
        return stored

    @torch.no_grad()
    def _activations(self, images: NDArray[np.uint8]) -> torch.Tensor:
        inputs = normalise(images, self._mean, self._std).to(self._device)
        if not self._has_trunk:
            return inputs
        activations: torch.Tensor = self._trunk(inputs.to(self._dtype, memory_format=torch.channels_last))
        return activations

    def _read(self, record: ImageRecord) -> NDArray[np.uint8]:
        return resize_and_denoise(record.source.pixels(), self._plan.data)

    def _recipe_digest(self, trunk_digest: str) -> str:
        parts = {
            "trunk": trunk_digest,
            "dtype": str(self._dtype),
            "device": self._device.type,
            "size": self._plan.data.size,
            "denoise": self._plan.data.denoise,
            "normalisation": [self._mean, self._std],
            "augmentation": self._plan.augmentation.model_dump(),
            "seed": self._plan.training.seed,
            "libraries": {name: version(name) for name in _LIBRARIES},
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _trunk_dtype(plan: TrainingPlan, device: torch.device) -> torch.dtype:
    """bfloat16 halves the trunk's time where the processor computes in it, at the same accuracy."""
    if plan.training.precision == "float32":
        return torch.float32
    if device.type == "cpu":
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if native else torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.float32
