"""The train loop and the predict loop of every arm and every hospital."""

import contextlib
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from common.dataset.records import ImageRecord
from common.errors import RunError
from common.models.classifier import Classifier, build_model
from common.plan.training_plan import TrainingPlan
from common.training.activation_cache import ActivationCache, activation_cache
from common.training.activations import Activations
from common.training.device import pick_device
from common.training.mixup import mix
from common.training.tail_optimizer import TailOptimizer

_SCORING_BATCH = 32


@dataclass(frozen=True)
class EpochRange:
    """Which epochs of a training a call of `fit` covers.

    Attributes
    ----------
    first, stop : int
        Epochs `first` to `stop - 1`, counted from the beginning of the training.
    total : int
        Epochs of the whole training; the learning rate decays over all of them.
    """

    first: int
    stop: int
    total: int


class Trainer:
    """A model on one device with the activations of its images: what every hospital and every arm trains with.

    Parameters
    ----------
    plan : TrainingPlan
        The hyperparameters.
    model : Classifier
        Trained in place.
    cache : ActivationCache or None
        For the trunk's activations.
    """

    def __init__(self, plan: TrainingPlan, model: Classifier, cache: ActivationCache | None) -> None:
        self._plan = plan.training
        self._device = pick_device(plan.training.device)
        self.model = model
        self._activations = Activations(plan, model, self._device, cache)
        self._tail = model.tail.to(self._device).to(memory_format=torch.channels_last)

    @classmethod
    def of_plan(cls, plan: TrainingPlan, classes: int) -> Self:
        """Build the plan's model for a number of classes, with the user's cache of activations."""
        return cls(plan, build_model(plan, classes), activation_cache())

    def fit(
        self,
        records: Sequence[ImageRecord],
        epochs: EpochRange,
        *,
        name: str,
        batch_size: int | None = None,
        proximal_mu: float = 0.0,
        on_epoch: Callable[[int, float], None] | None = None,
    ) -> float:
        """Train the tail on the given images.

        Parameters
        ----------
        records : sequence of ImageRecord
            Training images; at least one.
        epochs : EpochRange
            The epochs to train; at least one.
        name : str
            The site's or arm's name; with the plan's seed it fixes the order of images and the dropout.
        batch_size : int, optional
            Instead of the plan's.
        proximal_mu : float
            Weight of FedProx's term, see `TailOptimizer`; 0: none.
        on_epoch : callable, optional
            Called after each epoch with its number, from 0, and mean loss; may evaluate the model.

        Returns
        -------
        float
            Mean loss over the images of the last epoch.

        Raises
        ------
        RunError
            If the loss or a weight is not finite any more, or if BatchNorm is to be trained on a single image.
        """
        optimizer = TailOptimizer(self._tail, self._plan, proximal_mu)
        epoch_loss = math.nan
        try:
            for epoch in range(epochs.first, epochs.stop):
                self._set_training(head_only=epoch < self._plan.head_epochs)
                with _seeded(self._plan.seed, name, epoch):
                    epoch_loss = self._train_epoch(
                        records, epoch, epochs.total, batch_size or self._plan.batch_size, optimizer
                    )
                # The last step of an epoch shows in no loss of it.
                if not (math.isfinite(epoch_loss) and self._weights_are_finite()):
                    raise RunError(f"training of {name} diverged in epoch {epoch + 1}: lower training.learning_rate")
                if on_epoch:
                    on_epoch(epoch, epoch_loss)
        finally:
            self._tail.requires_grad_(True)
            self.model.eval()
        return epoch_loss

    def _set_training(self, head_only: bool) -> None:
        """Set the training mode of all stages of the tail, or of its head alone.

        A head that fits first leaves the pretrained stages less to unlearn (Kumar et al. 2022, Fine-tuning can distort
        pretrained features, section 4).
        """
        self.model.train()
        for stage in self._tail[:-1]:
            stage.requires_grad_(not head_only)
            if head_only:
                stage.eval()

    def _train_epoch(
        self, records: Sequence[ImageRecord], epoch: int, total: int, batch_size: int, optimizer: TailOptimizer
    ) -> float:
        """Train on every image once, in a drawn order, and return the mean loss."""
        labels = torch.tensor([record.label for record in records])
        weights = _class_weights(labels, self.model.classes) if self._plan.class_weights == "balanced" else None
        batches = self._batches(torch.randperm(len(records)), batch_size)
        loss_sum = 0.0
        for number, chosen in enumerate(batches):
            inputs = self._activations.training_batch([records[i] for i in chosen.tolist()], epoch)
            loss = self._loss_of_batch(inputs, labels[chosen], weights)
            optimizer.step(loss, progress=(epoch + number / len(batches)) / total)
            loss_sum += loss.item() * len(chosen)
        return loss_sum / len(records)

    def _batches(self, order: torch.Tensor, batch_size: int) -> list[torch.Tensor]:
        """Return the batches of an epoch; a last image that is left over joins the batch before if BatchNorm trains.

        One image has no variance over a batch, and where its features have shrunk to one pixel, none at all.
        """
        batches = list(torch.split(order, batch_size))
        if len(batches[-1]) > 1 or not self._trains_batch_norm():
            return batches
        if len(batches) == 1:
            raise RunError("BatchNorm cannot be trained on a single image: set model.batch_norm=frozen, or add images")
        return [*batches[:-2], torch.cat(batches[-2:])]

    def _trains_batch_norm(self) -> bool:
        return any(isinstance(layer, _BatchNorm) and layer.training for layer in self._tail.modules())

    def _weights_are_finite(self) -> bool:
        # Of the running statistics of a BatchNorm no loss of a training batch tells.
        return all(bool(torch.isfinite(value).all()) for value in self._tail.state_dict().values())

    @torch.inference_mode()
    def predict(self, records: Sequence[ImageRecord], views: int = 0) -> NDArray[np.float64]:
        """Return class probabilities of shape (N, classes), rows adding up to 1, in the order of `records`.

        Parameters
        ----------
        records : sequence of ImageRecord
            Any number.
        views : int
            How many augmented views of each image are averaged with the prediction for the unchanged image (test-time
            augmentation: Krizhevsky et al. 2012, section 4.1).
        """
        batches = self.predict_views(records, range(views + 1))
        return average_views(batches) if batches else np.empty((0, self.model.classes))

    @torch.inference_mode()
    def predict_views(self, records: Sequence[ImageRecord], views: Iterable[int]) -> list[NDArray[np.float64]]:
        """Return class probabilities of several views of each image, so that processes can share the work of `predict`.

        Parameters
        ----------
        records : sequence of ImageRecord
            Any number.
        views : iterable of int
            0 is the unchanged image, and number n its augmented view n - 1.

        Returns
        -------
        list of ndarray of float64, shape (views, images, classes)
            One per batch: the last bits of a probability depend on the batch, so that batches must not be changed.
        """
        self.model.eval()
        chosen = list(views)
        return [
            np.stack([self._probabilities(records[start : start + _SCORING_BATCH], view) for view in chosen])
            for start in range(0, len(records), _SCORING_BATCH)
        ]

    def _probabilities(self, batch: Sequence[ImageRecord], view: int) -> NDArray[np.float64]:
        inputs = self._activations.training_batch(batch, view - 1) if view else self._activations.plain_batch(batch)
        probabilities: NDArray[np.float64] = functional.softmax(self._tail(inputs).cpu().double(), 1).numpy()
        return probabilities

    @torch.inference_mode()
    def features(self, records: Sequence[ImageRecord]) -> NDArray[np.float64]:
        """Return the globally pooled outputs of the frozen stages, shape (N, channels), to fit a linear probe on."""
        rows = [
            self._activations.plain_batch(records[i : i + _SCORING_BATCH]).mean(dim=(2, 3)).cpu().double()
            for i in range(0, len(records), _SCORING_BATCH)
        ]
        return torch.cat(rows).numpy() if rows else np.empty((0, self.model.family.features))

    def _loss_of_batch(self, inputs: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        if not self._plan.mixup:
            return self._loss(self._tail(inputs), labels, weights)
        mixture = mix(inputs, self._plan.mixup)
        logits = self._tail(mixture.inputs)
        own, partners = (self._loss(logits, truth, weights) for truth in (labels, labels[mixture.partners]))
        return mixture.share * own + (1 - mixture.share) * partners

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        smoothing, truth = self._plan.label_smoothing, labels.to(self._device)
        if weights is None:
            return functional.cross_entropy(logits, truth, label_smoothing=smoothing)
        # torch's own `weight` also weighs the share that label smoothing gives to the other classes: a model of a
        # hospital with few or no images of a class would learn to predict that class everywhere.
        losses = functional.cross_entropy(logits, truth, label_smoothing=smoothing, reduction="none")
        return (losses * weights[labels].to(self._device)).mean()


def _class_weights(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Return weights, of mean 1 over the images, that make all classes with images count the same."""
    counts = torch.bincount(labels, minlength=classes)
    return len(labels) / (torch.count_nonzero(counts) * counts.clamp(min=1))


def average_views(batches: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the mean of all views' probabilities, shape (images, classes), of one or more batches of all views."""
    return torch.cat([torch.from_numpy(batch).mean(0) for batch in batches]).numpy()


@contextlib.contextmanager
def _seeded(seed: int, name: str, epoch: int) -> Iterator[None]:
    """Seed the image order and the dropout by seed, name and epoch alone; restore the global generator at the end."""
    identity = hashlib.sha256(f"{seed}/{name}/{epoch}".encode()).digest()
    with torch.random.fork_rng():
        torch.manual_seed(int.from_bytes(identity[:7], "big"))
        yield
