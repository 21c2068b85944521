"""Mixing of the pairs of a batch."""

import numpy as np
import pytest
import torch

from common.training.mixup import mix


def test_each_input_is_mixed_with_its_partner() -> None:
    torch.manual_seed(1)
    inputs = torch.randn(6, 3, 4, 4)
    mixture = mix(inputs, 0.4)
    assert sorted(mixture.partners.tolist()) == list(range(6))
    expected = mixture.share * inputs + (1 - mixture.share) * inputs[mixture.partners]
    assert torch.allclose(mixture.inputs, expected, atol=1e-6)


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_shares_are_spread_as_the_beta_distribution_says(alpha: float) -> None:
    torch.manual_seed(1)
    shares = [mix(torch.zeros(2, 1), alpha).share for _ in range(2000)]
    assert np.mean(shares) == pytest.approx(0.5, abs=0.03)
    assert np.var(shares) == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)
