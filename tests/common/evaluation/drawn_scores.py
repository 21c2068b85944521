"""Drawn labels and scores, for tests."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray


def draw(seed: int, images: int, classes: int, decimals: int | None = None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scores that know something about the labels; rounding makes ties."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, images)
    logits = generator.normal(size=(images, classes)) + 1.2 * np.eye(classes)[labels]
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if decimals is not None:
        probabilities = probabilities.round(decimals)
    return labels, probabilities


problems = st.builds(
    draw,
    seed=st.integers(0, 10_000),
    images=st.integers(0, 60),
    classes=st.integers(2, 4),
    decimals=st.sampled_from([None, 1, 2]),
)
