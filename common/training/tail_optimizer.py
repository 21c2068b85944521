"""The optimizer of a tail: AdamW with the plan's learning rates, gradient clipping and FedProx's term."""

import math

import torch
from torch import nn

from common.plan.groups import TrainingSettings


class TailOptimizer:
    """Updates the trainable parameters of a tail, one batch at a time.

    Every instance starts a fresh AdamW (Loshchilov & Hutter 2019, Decoupled weight decay regularization): in a
    federation, the moments of one hospital's gradients say little about the averaged weights that the next round starts
    from.

    Parameters
    ----------
    tail : nn.Sequential
        Updated in place, but for parameters that have no gradient when a step is made. Each stage before the head
        learns at `layer_decay` times the rate of the stage behind it (Howard & Ruder 2018, Universal language model
        fine-tuning, section 3.2, discriminative fine-tuning).
    plan : TrainingSettings
        `learning_rate`, `layer_decay`, `schedule`, `weight_decay` and `clip_norm` are read.
    proximal_mu : float
        Weight of FedProx's proximal term mu/2 |w - w_start|^2 (Li et al. 2020, Federated optimization in heterogeneous
        networks, equation 2); w_start are the parameters at this moment. 0: no such term.
    """

    def __init__(self, tail: nn.Sequential, plan: TrainingSettings, proximal_mu: float = 0.0) -> None:
        self._plan = plan
        self._parameters = [parameter for parameter in tail.parameters() if parameter.requires_grad]
        self._factors = [plan.layer_decay**depth for depth in reversed(range(len(tail)))]
        self._adamw = torch.optim.AdamW(
            [{"params": list(stage.parameters())} for stage in tail],
            lr=plan.learning_rate,
            weight_decay=plan.weight_decay,
            fused=True,
        )
        self._proximal_mu = proximal_mu
        self._start = [parameter.detach().clone() for parameter in self._parameters] if proximal_mu else []

    def step(self, loss: torch.Tensor, progress: float) -> None:
        """Update the parameters by the gradient of a batch's loss.

        Parameters
        ----------
        loss : Tensor, scalar
            Mean loss over the batch, with its graph.
        progress : float
            Share of the whole run's training that is done, in [0, 1); sets the learning rate.
        """
        rate = self._learning_rate(progress)
        for group, factor in zip(self._adamw.param_groups, self._factors, strict=True):
            group["lr"] = rate * factor
        self._adamw.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self._start:
            self._add_proximal_gradient()
        if self._plan.clip_norm:
            nn.utils.clip_grad_norm_(self._parameters, self._plan.clip_norm)
        self._adamw.step()

    def _add_proximal_gradient(self) -> None:
        for parameter, origin in zip(self._parameters, self._start, strict=True):
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach() - origin, alpha=self._proximal_mu)

    def _learning_rate(self, progress: float) -> float:
        if self._plan.schedule == "constant":
            return self._plan.learning_rate
        # Cosine without restarts (Loshchilov & Hutter 2017, SGDR), over the whole run.
        return self._plan.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
