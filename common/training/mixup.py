"""Mixing of the pairs of a batch, which keeps a network from learning a few dozen images by heart."""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Mixture:
    """The inputs of a batch, each mixed with those of a partner.

    Attributes
    ----------
    inputs : Tensor, shape (N, ...)
        ``share * inputs + (1 - share) * inputs[partners]``.
    partners : Tensor of int64, shape (N,)
        Row of each input's partner.
    share : float
        Of an input's own values, and of its own label in the loss; in [0, 1].
    """

    inputs: torch.Tensor
    partners: torch.Tensor
    share: float


def mix(inputs: torch.Tensor, alpha: float) -> Mixture:
    """Mix each input with another one of its batch, by a share drawn from Beta(alpha, alpha).

    The inputs of a tail are what a frozen trunk makes of images, so this is the mixing of hidden states (Verma et al.
    2019, Manifold mixup, section 2), and with nothing frozen that of images (Zhang et al. 2018, mixup: Beyond empirical
    risk minimization). Draws come from PyTorch's global generator.

    Parameters
    ----------
    inputs : Tensor, shape (N, ...)
        At least one.
    alpha : float
        Positive; the smaller, the more of each mixture is one image.
    """
    share = float(torch.distributions.Beta(alpha, alpha).sample())
    partners = torch.randperm(len(inputs))
    return Mixture(torch.lerp(inputs[partners], inputs, share), partners, share)
