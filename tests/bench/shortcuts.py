"""What rarefed's shortcuts are worth on this machine."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from common.models.classifier import build_model
from common.models.tail_layout import TailLayout
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from common.training.activation_cache import ActivationCache
from common.training.trainer import EpochRange, Trainer
from simulations.sites.consortium import load_consortium

IMAGES = 48


def measure(console: Console) -> None:
    """Measure how fast images are trained on with and without each shortcut, and print it."""
    torch.set_num_threads(1)
    table = Table("what", "images/s", "against", "images/s", "ratio", title="one thread, phantom, efficientnet_lite0")
    with tempfile.TemporaryDirectory() as folder:
        cached = _images_per_second({}, ActivationCache(Path(folder)))
        fresh = _images_per_second({"augmentation.views": 0}, None)
        fresh_float32 = _images_per_second({"augmentation.views": 0, "training.precision": "float32"}, None)
        full = _images_per_second({"augmentation.views": 0, "model.freeze": "none"}, None)
    for name, rate, against, other in (
        ("tail from cached activations", cached, "trunk in every epoch", fresh),
        ("tail from cached activations", cached, "whole network trained", full),
        ("trunk in its fastest format", fresh, "trunk in float32", fresh_float32),
    ):
        table.add_row(name, f"{rate:.0f}", against, f"{other:.0f}", f"{rate / other:.1f}")
    console.print(table)
    plan = TrainingPlan()
    model = build_model(plan, 2)
    sent = TailLayout.of(model.tail, plan).size * 4
    whole = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    console.print(f"an update is {sent / 1e6:.1f} MB, {sent / whole:.0%} of the model's {whole / 1e6:.1f} MB")


def _images_per_second(changes: dict[str, Scalar], cache: ActivationCache | None) -> float:
    plan = TrainingPlan.from_flat(changes)
    records = load_consortium(plan).pooled("train")[:IMAGES]
    trainer = Trainer(plan, build_model(plan, 2), cache)
    # The first epoch fills caches and memory.
    trainer.fit(records, EpochRange(0, 1, 4), name="bench")
    return _rate(lambda: trainer.fit(records, EpochRange(1, 3, 4), name="bench"), 2 * len(records))


def _rate(work: Callable[[], object], images: int) -> float:
    started = time.perf_counter()
    work()
    return images / (time.perf_counter() - started)
