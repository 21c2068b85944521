"""What the tail is trained on: the trunk's activations of each image's augmented views."""

import contextlib
import hashlib
import inspect
import json
from collections.abc import Iterator, Sequence
from functools import lru_cache
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray

from common.dataset.records import ImageRecord
from common.imaging import augmentation, decode, intensity, preprocess
from common.imaging.augmentation import Augmentation
from common.imaging.preprocess import normalise, resize_and_denoise
from common.models.classifier import Classifier
from common.plan.training_plan import TrainingPlan
from common.training.activation_cache import ActivationCache

_LIBRARIES = ("torch", "timm", "albumentations", "opencv-python-headless", "pillow", "numpy")
_IMAGES_IN_MEMORY = 2048  # resized to 224 pixels: 300 MB


class Activations:
    """The inputs of a model's tail, batch by batch.

    The trunk is frozen, so that its activations of a given view never change: with a fixed number of views an image,
    they are computed once, kept by content digest, and shared by every round, arm, run and process. The views of one
    image are computed together, by one thread: so an activation does not depend, not even in its last bit, on the
    company that the image happened to be in or on the process that came first.

    Parameters
    ----------
    plan : TrainingPlan
        `data.*`, `augmentation.*` and `training.precision` are read.
    model : Classifier
        Its trunk is moved to `device`.
    device : torch.device
        Where trunk and tail compute.
    cache : ActivationCache or None
        None computes everything anew.
    """

    def __init__(
        self, plan: TrainingPlan, model: Classifier, device: torch.device, cache: ActivationCache | None
    ) -> None:
        self._plan = plan
        self._device = device
        self._mean, self._std = model.mean, model.std
        self._has_trunk = len(model.trunk) > 0
        self._dtype = _trunk_dtype(plan, device)
        self._trunk = model.trunk.to(device, self._dtype).to(memory_format=torch.channels_last)
        self._augmentation = Augmentation(plan.augmentation, plan.data.size)
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
        if self._cache is None:
            view = pass_index % self._views if self._views else pass_index
            pixels = [self._augmented(record, view) for record in records]
            return self._activations(np.stack(pixels)).to(self._device, torch.float32)
        return self._stack([self._cached(record, "views", pass_index % self._views) for record in records])

    def plain_batch(self, records: Sequence[ImageRecord]) -> torch.Tensor:
        """Return the tail's inputs for unchanged images, for scoring; same shape as `training_batch`."""
        if self._cache is None:
            pixels = [self._canonical(record) for record in records]
            return self._activations(np.stack(pixels)).to(self._device, torch.float32)
        return self._stack([self._cached(record, "plain", 0) for record in records])

    def _stack(self, activations: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack(activations).to(self._device, torch.float32, memory_format=torch.channels_last)

    def _cached(self, record: ImageRecord, kind: str, index: int) -> torch.Tensor:
        assert self._cache is not None
        key = hashlib.sha256(f"{self._recipe}/{kind}/{record.sha256}".encode()).hexdigest()
        stored = self._cache.read(key, str(index))
        if stored is not None:
            return stored
        if kind == "plain":
            images = [self._canonical(record)]
        else:
            images = [self._augmented(record, view) for view in range(self._views)]
        with _one_thread():
            computed = self._activations(np.stack(images)).cpu()
        self._cache.write(key, {str(number): activation for number, activation in enumerate(computed)})
        return computed[index]

    def _augmented(self, record: ImageRecord, view: int) -> NDArray[np.uint8]:
        return self._augmentation.apply(self._canonical(record), record.sha256, view)

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
            "code": [inspect.getsource(module) for module in (decode, intensity, preprocess, augmentation)],
            "libraries": {name: version(name) for name in _LIBRARIES},
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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
