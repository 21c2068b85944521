"""Learning rate, clipping and the proximal term."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from common.dataset.records import Dataset
from common.models.tail_layout import TailLayout
from common.plan.groups import Scalar
from common.training.trainer import EpochRange
from tests.common.training.small_plan import plan, trainer


def test_the_learning_rate_decays_over_the_whole_run(dataset: Dataset, tmp_path: Path) -> None:
    def size_of_change(first: int, total: int, **changes: Scalar) -> float:
        chosen = plan(**changes)
        bench = trainer(chosen, tmp_path)
        layout = TailLayout.of(bench.model.tail, chosen)
        before = layout.pack(bench.model.tail)
        bench.fit(dataset.records[:8], EpochRange(first, first + 1, total), name="x")
        return float(np.abs(layout.pack(bench.model.tail) - before).mean())

    assert size_of_change(9, 10) < 0.2 * size_of_change(0, 10)
    constant = {"training__schedule": "constant"}
    assert size_of_change(9, 10, **constant) > 0.8 * size_of_change(0, 10, **constant)


@contextmanager
def watched_steps() -> Iterator[list[tuple[float, float]]]:
    """Collect learning rate and gradient norm of every optimizer step."""
    steps: list[tuple[float, float]] = []

    def note(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        norms = [parameter.grad.norm() for parameter in parameters if parameter.grad is not None]
        steps.append((optimizer.param_groups[0]["lr"], float(torch.stack(norms).norm())))

    handle = register_optimizer_step_pre_hook(note)
    try:
        yield steps
    finally:
        handle.remove()


def test_rounds_are_parts_of_one_schedule(dataset: Dataset, tmp_path: Path) -> None:
    bench = trainer(plan(), tmp_path)
    with watched_steps() as steps:
        bench.fit(dataset.records, EpochRange(0, 1, 2), name="x")
        bench.fit(dataset.records, EpochRange(1, 2, 2), name="x")
    # 24 images in batches of 8: three steps per epoch.
    cosine = [1e-3 * 0.5 * (1 + np.cos(np.pi * step / 6)) for step in range(6)]
    assert [rate for rate, _ in steps] == pytest.approx(cosine)


def test_earlier_stages_learn_slower_if_the_plan_says_so(dataset: Dataset, tmp_path: Path) -> None:
    def largest_changes(**changes: Scalar) -> list[float]:
        bench = trainer(plan(training__weight_decay=0, **changes), tmp_path)
        before = [[parameter.detach().clone() for parameter in stage.parameters()] for stage in bench.model.tail]
        bench.fit(dataset.records[:8], EpochRange(0, 1, 1), name="x")
        return [
            max(float((new.detach() - old).abs().max()) for new, old in zip(stage.parameters(), olds, strict=True))
            for stage, olds in zip(bench.model.tail, before, strict=True)
        ]

    # Adam's first step moves each weight by the learning rate, 1e-3 here, whatever its gradient.
    assert largest_changes() == pytest.approx([1e-3] * 4, rel=0.01)
    assert largest_changes(training__layer_decay=0.5) == pytest.approx([1.25e-4, 2.5e-4, 5e-4, 1e-3], rel=0.01)


def test_gradients_are_clipped_only_if_the_plan_says_so(dataset: Dataset, tmp_path: Path) -> None:
    norms = {}
    for limit in (0.01, 0.0):
        with watched_steps() as steps:
            trainer(plan(training__clip_norm=limit), tmp_path).fit(dataset.records, EpochRange(0, 1, 1), name="x")
        norms[limit] = [norm for _, norm in steps]
    assert all(norm <= 0.0101 for norm in norms[0.01])
    assert all(norm > 0.1 for norm in norms[0.0])


def test_the_proximal_term_holds_the_weights_back(dataset: Dataset, tmp_path: Path) -> None:
    moved = []
    for mu in (0.0, 100.0):
        one = trainer(plan(), tmp_path)
        layout = TailLayout.of(one.model.tail, plan())
        start = layout.pack(one.model.tail)
        one.fit(dataset.records[:8], EpochRange(0, 6, 6), name="x", proximal_mu=mu)
        moved.append(float(np.linalg.norm(layout.pack(one.model.tail) - start)))
    assert moved[1] < 0.7 * moved[0]
