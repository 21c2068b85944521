"""The inputs of the trained tail: the frozen trunk's activations of each image's augmented views."""

import contextlib
import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from common.dataset.records import ImageRecord
from common.imaging import augmentation, colour, preprocess
from common.imaging.augmentation import Augmentation
from common.imaging.preprocess import normalise, resize_and_denoise, shrink
from common.models.classifier import Classifier
from common.plan.training_plan import TrainingPlan
from common.training.activation_cache import ActivationCache
from common.training.computing_environment import computing_environment, trunk_dtype
from common.training.device import pick_device

# Of the images of a training, as they are read: those of 2,000 images of 224 pixels.
_BYTES_IN_MEMORY = 300_000_000

# One image alone would go through other kernels than a batch, which give other last bits in some networks; in blocks of
# four, which images are together makes no difference to the bits in any family that was tried.
_BLOCK = 4


class Activations:
    """The inputs of a model's tail, batch by batch.

    The trunk is frozen, so the activations of a given view never change. With a fixed number of views per image they
    are computed once, stored under a digest of their content, and shared by all rounds, arms, runs and processes. They
    are bitwise independent of the training batch: one thread computes those that are missing in blocks of fixed size.

    Parameters
    ----------
    plan : TrainingPlan
        `data.*`, `augmentation.*` and `training.precision` are read.
    model : Classifier
        Its trunk is moved to `device`.
    device : torch.device
        Where trunk and tail compute.
    cache : ActivationCache or None
        None: everything is computed anew.
    """

    def __init__(
        self, plan: TrainingPlan, model: Classifier, device: torch.device, cache: ActivationCache | None
    ) -> None:
        self._plan = plan
        self._device = device
        self._mean, self._std = model.mean, model.std
        self._has_trunk = len(model.trunk) > 0
        self._dtype = trunk_dtype(plan, device)
        self._trunk = model.trunk.to(device, self._dtype).to(memory_format=torch.channels_last)
        self._views = plan.augmentation.views
        # Without a trunk the activations are the images themselves: cheaper to compute than to keep.
        self._cache = cache if self._has_trunk and self._views else None
        self._recipe = self._recipe_digest(model.trunk_digest) if self._cache else ""
        self._canonical = lru_cache(maxsize=_BYTES_IN_MEMORY // (3 * plan.read_side**2))(self._read)

    def training_batch(self, records: Sequence[ImageRecord], epoch: int) -> torch.Tensor:
        """Return the tail's inputs for one batch of augmented training images.

        Parameters
        ----------
        records : sequence of ImageRecord
            The batch.
        epoch : int
            Counted from 0: picks the view. The views repeat after `augmentation.views` epochs.

        Returns
        -------
        Tensor of float32, shape (N, channels, height, width), on the device
        """
        if self._cache is None:
            view = epoch % self._views if self._views else epoch
            pixels = [self._augmented(record, view) for record in records]
            return self._activations(np.stack(pixels)).to(self._device, torch.float32)
        view = epoch % self._views
        identities = [f"view {view}/{record.sha256}" for record in records]
        return self._stack(self._cached(identities, lambda row: self._augmented(records[row], view), _BLOCK))

    def plain_batch(self, records: Sequence[ImageRecord]) -> torch.Tensor:
        """Return the tail's inputs for unchanged images, to evaluate on; same shape as `training_batch`."""
        if self._cache is None:
            pixels = [self._plain(record) for record in records]
            return self._activations(np.stack(pixels)).to(self._device, torch.float32)
        identities = [f"plain/{record.sha256}" for record in records]
        return self._stack(self._cached(identities, lambda row: self._plain(records[row]), 1))

    def _stack(self, activations: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack(activations).to(self._device, torch.float32, memory_format=torch.channels_last)

    def _cached(
        self, identities: Sequence[str], image: Callable[[int], NDArray[np.uint8]], block: int
    ) -> list[torch.Tensor]:
        """Return the activations of some images; compute and store those that are missing, in blocks of one size."""
        assert self._cache is not None
        keys = [hashlib.sha256(f"{self._recipe}/{identity}".encode()).hexdigest() for identity in identities]
        found = [self._cache.read(key) for key in keys]
        missing = [row for row, activation in enumerate(found) if activation is None]
        for start in range(0, len(missing), block):
            chosen = missing[start : start + block]
            images = [image(row) for row in chosen]
            images += [images[-1]] * (block - len(images))
            with _one_thread():
                computed = self._activations(np.stack(images)).cpu()
            for row, activation in zip(chosen, computed, strict=False):  # the last block is filled up
                found[row] = activation.clone()
                self._cache.write(keys[row], activation)
        return [activation for activation in found if activation is not None]

    @cached_property
    def _augmentation(self) -> Augmentation:
        return Augmentation(self._plan.augmentation, self._plan.data.size)

    def _plain(self, record: ImageRecord) -> NDArray[np.uint8]:
        return shrink(self._canonical(record), self._plan.data.size)

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
        return resize_and_denoise(record.source.pixels(record.sha256), self._plan.data, self._plan.read_side)

    def _recipe_digest(self, trunk_digest: str) -> str:
        parts = {
            "trunk": trunk_digest,
            # A cache may be shared by machines of one home, whose processors give other last bits.
            "environment": computing_environment(self._plan),
            "size": self._plan.data.size,
            "denoise": self._plan.data.denoise,
            "normalisation": [self._mean, self._std],
            "augmentation": self._plan.augmentation.model_dump(),
            "images per block": _BLOCK,
            "code": [inspect.getsource(module) for module in (preprocess, augmentation, colour)],
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def cached_bytes(plan: TrainingPlan, model: Classifier, images: int) -> int:
    """Return how many bytes the activations of all views of some images take in the cache; 0 where none are kept."""
    if not len(model.trunk) or not plan.augmentation.views:
        return 0
    dtype = trunk_dtype(plan, pick_device(plan.training.device))
    with torch.inference_mode():
        one: torch.Tensor = model.trunk(torch.zeros(1, 3, plan.data.size, plan.data.size))
    return images * (plan.augmentation.views + 1) * one.numel() * dtype.itemsize


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
