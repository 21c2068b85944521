"""The one train loop and the one predict loop of every arm and every hospital."""

import contextlib
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from common.dataset.dataset import ImageRecord
from common.errors import RunError
from common.models.classifier import Classifier, build_model
from common.plan.training_plan import TrainingPlan
from common.training.activation_cache import ActivationCache, activation_cache
from common.training.activations import Activations
from common.training.device import pick_device

_SCORING_BATCH = 32


@dataclass(frozen=True)
class Budget:
    """Which part of a run's passes over the images a call of `fit` covers.

    Attributes
    ----------
    first, last : int
        Passes `first` to `last - 1`, counted from the run's beginning.
    total : int
        Passes of the whole run; the learning rate decays over all of them.
    """

    first: int
    last: int
    total: int


class Trainer:
    """A model with its images' views on one device: what a hospital, or the centralised arm, trains with.

    Parameters
    ----------
    plan : TrainingPlan
        The recipe.
    model : Classifier
        Trained in place.
    cache : ActivationCache or None
        For the trunk's activations.
    """

    def __init__(self, plan: TrainingPlan, model: Classifier, cache: ActivationCache | None) -> None:
        self._plan = plan.training
        self._device = pick_device(plan.training.device)
        self.model = model
        self._views = Activations(plan, model, self._device, cache)
        self._tail = model.tail.to(self._device).to(memory_format=torch.channels_last)

    @classmethod
    def of_plan(cls, plan: TrainingPlan, classes: int) -> Self:
        """Build the plan's model for a number of classes, with the user's cache of activations."""
        return cls(plan, build_model(plan, classes), activation_cache())

    def fit(
        self,
        records: Sequence[ImageRecord],
        budget: Budget,
        *,
        name: str,
        batch_size: int | None = None,
        proximal_mu: float = 0.0,
        on_pass: Callable[[int, float], None] | None = None,
    ) -> float:
        """Train the tail on the given images.

        Every call starts a fresh AdamW (Loshchilov & Hutter 2019): in a federation, moments of one hospital's gradients
        say little about the averaged weights the next round starts from.

        Parameters
        ----------
        records : sequence of ImageRecord
            Training images; at least one.
        budget : Budget
            The passes to make.
        name : str
            The site's or arm's name; with the plan's seed it fixes the order of images and the dropout.
        batch_size : int, optional
            Instead of the plan's.
        proximal_mu : float
            Weight of FedProx's proximal term mu/2 |w - w_start|^2 (Li et al. 2020, equation 2); 0: none.
        on_pass : callable, optional
            Called after each pass with its number and mean loss; may score the model.

        Returns
        -------
        float
            Mean loss over the images of the last pass.

        Raises
        ------
        RunError
            If the loss is no finite number any more.
        """
        size = batch_size or self._plan.batch_size
        labels = torch.tensor([record.label for record in records])
        weights = _class_weights(labels, self.model.classes) if self._plan.class_weights == "balanced" else None
        parameters = [parameter for parameter in self._tail.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(
            parameters, lr=self._plan.learning_rate, weight_decay=self._plan.weight_decay, fused=True
        )
        start = [parameter.detach().clone() for parameter in parameters] if proximal_mu else []
        loss_of_pass = math.nan
        try:
            for pass_index in range(budget.first, budget.last):
                self.model.train()
                with _seeded(self._plan.seed, name, pass_index):
                    order = torch.randperm(len(records))
                    batches = torch.split(order, size)
                    loss_sum = 0.0
                    for step, chosen in enumerate(batches):
                        progress = (pass_index + step / len(batches)) / budget.total
                        optimizer.param_groups[0]["lr"] = self._learning_rate(progress)
                        inputs = self._views.training_batch([records[i] for i in chosen.tolist()], pass_index)
                        loss = self._loss(self._tail(inputs), labels[chosen], weights)
                        optimizer.zero_grad()
                        loss.backward()  # type: ignore[no-untyped-call]
                        for parameter, origin in zip(parameters if start else (), start, strict=True):
                            assert parameter.grad is not None
                            parameter.grad.add_(parameter.detach() - origin, alpha=proximal_mu)
                        if self._plan.clip_norm:
                            nn.utils.clip_grad_norm_(parameters, self._plan.clip_norm)
                        optimizer.step()
                        loss_sum += loss.item() * len(chosen)
                loss_of_pass = loss_sum / len(records)
                if not math.isfinite(loss_of_pass):
                    raise RunError(
                        f"training of {name} diverged in pass {pass_index + 1}: lower training.learning_rate"
                    )
                if on_pass:
                    on_pass(pass_index, loss_of_pass)
        finally:
            self.model.eval()
        return loss_of_pass

    @torch.inference_mode()
    def predict(self, records: Sequence[ImageRecord], views: int = 0) -> NDArray[np.float64]:
        """Return class probabilities of shape (N, classes), rows adding up to 1, in the order of `records`.

        Parameters
        ----------
        records : sequence of ImageRecord
            Any number.
        views : int
            How many augmented views of each image are averaged with what the unchanged image gives (test-time
            augmentation: Krizhevsky et al. 2012, section 4.1).
        """
        self.model.eval()
        rows = []
        for start in range(0, len(records), _SCORING_BATCH):
            batch = records[start : start + _SCORING_BATCH]
            inputs = [self._views.plain_batch(batch)]
            inputs += [self._views.training_batch(batch, view) for view in range(views)]
            rows.append(torch.stack([functional.softmax(self._tail(one).cpu().double(), 1) for one in inputs]).mean(0))
        return torch.cat(rows).numpy() if rows else np.empty((0, self.model.classes))

    @torch.inference_mode()
    def features(self, records: Sequence[ImageRecord]) -> NDArray[np.float64]:
        """Return the pooled outputs of the frozen stages, shape (N, channels), for what is fitted on them alone."""
        rows = [
            self._views.plain_batch(records[i : i + _SCORING_BATCH]).mean(dim=(2, 3)).cpu().double()
            for i in range(0, len(records), _SCORING_BATCH)
        ]
        return torch.cat(rows).numpy() if rows else np.empty((0, self.model.family.features))

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
        smoothing, truth = self._plan.label_smoothing, labels.to(self._device)
        if weights is None:
            return functional.cross_entropy(logits, truth, label_smoothing=smoothing)
        # torch's own `weight` also weighs the share that label smoothing gives the other classes: a hospital with few
        # or no images of a class would be taught to see it everywhere.
        losses = functional.cross_entropy(logits, truth, label_smoothing=smoothing, reduction="none")
        return (losses * weights[labels].to(self._device)).mean()

    def _learning_rate(self, progress: float) -> float:
        if self._plan.schedule == "constant":
            return self._plan.learning_rate
        # Cosine without restarts (Loshchilov & Hutter 2017, SGDR), over the whole run.
        return self._plan.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def _class_weights(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Weights that make all classes with images count the same; of mean 1 over the images."""
    counts = torch.bincount(labels, minlength=classes)
    return len(labels) / (torch.count_nonzero(counts) * counts.clamp(min=1))


@contextlib.contextmanager
def _seeded(seed: int, name: str, pass_index: int) -> Iterator[None]:
    """Make order and dropout of a pass depend on seed, site and pass alone; the global generator stays as it was."""
    identity = hashlib.sha256(f"{seed}/{name}/{pass_index}".encode()).digest()
    with torch.random.fork_rng():
        torch.manual_seed(int.from_bytes(identity[:7], "big"))
        yield
