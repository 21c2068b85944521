"""The views of images, cached or not, and the one train loop."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from common.dataset.loading import load_dataset
from common.dataset.records import Dataset
from common.errors import InputError, RunError
from common.models.classifier import build_model
from common.models.tail_layout import TailLayout
from common.plan.groups import Scalar
from common.plan.training_plan import TrainingPlan
from common.training.activation_cache import ActivationCache
from common.training.activations import Activations
from common.training.device import pick_device
from common.training.trainer import EpochRange, Trainer
from tests.federation.data import manifest

SMALL: dict[str, Scalar] = {"data.size": 64, "augmentation.views": 3, "training.learning_rate": 1e-3}
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_dataset(manifest(tmp_path_factory.mktemp("data") / "tiny"))


def plan(**changes: Scalar) -> TrainingPlan:
    return TrainingPlan.from_flat(SMALL | {key.replace("__", "."): value for key, value in changes.items()})


def views(cache: ActivationCache | None, chosen: TrainingPlan | None = None) -> Activations:
    chosen = chosen or plan()
    return Activations(chosen, build_model(chosen, 2), CPU, cache)


def trainer(chosen: TrainingPlan, cache: Path) -> Trainer:
    return Trainer(chosen, build_model(chosen, 2), ActivationCache(cache))


def test_a_warm_cache_gives_the_same_bits_in_any_company(dataset: Dataset, tmp_path: Path) -> None:
    records = dataset.records[:6]
    cold = views(ActivationCache(tmp_path)).training_batch(records, 1)
    warm = views(ActivationCache(tmp_path))
    assert torch.equal(warm.training_batch(records, 1), cold)
    alone = torch.cat([warm.training_batch([record], 1) for record in records])
    assert torch.equal(alone, cold)
    assert torch.equal(warm.training_batch(records, 4), cold)
    assert not torch.equal(warm.training_batch(records, 2), cold)


def test_activations_do_not_depend_on_the_number_of_threads(dataset: Dataset, tmp_path: Path) -> None:
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        exact = plan(training__precision="float32")
        results.append(views(ActivationCache(tmp_path / str(threads)), exact).training_batch(dataset.records[:3], 0))
    torch.set_num_threads(1)
    assert torch.equal(*results)


def test_views_that_no_epoch_asks_for_are_not_computed(dataset: Dataset, tmp_path: Path) -> None:
    many = plan(augmentation__views=8)
    short, long = tmp_path / "short", tmp_path / "long"
    some = [views(ActivationCache(short), many).training_batch(dataset.records[:2], epoch) for epoch in range(4)]
    both = [views(ActivationCache(long), many).training_batch(dataset.records[:2], epoch) for epoch in (5, 0, 1, 2, 3)]
    assert all(torch.equal(one, other) for one, other in zip(some, both[1:], strict=True))
    assert len(list(short.rglob("*.safetensors"))) == 2
    assert len(list(long.rglob("*.safetensors"))) == 4


def test_without_a_cache_the_same_views_are_computed(dataset: Dataset, tmp_path: Path) -> None:
    exact = plan(training__precision="float32")
    cached, computed = views(ActivationCache(tmp_path), exact), views(None, exact)
    for number in (0, 2):
        expected = cached.training_batch(dataset.records[:4], number)
        assert torch.allclose(computed.training_batch(dataset.records[:4], number), expected, atol=1e-4)
    plain = cached.plain_batch(dataset.records[:4])
    assert torch.allclose(computed.plain_batch(dataset.records[:4]), plain, atol=1e-4)


def test_another_recipe_does_not_find_the_same_entries(dataset: Dataset, tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path)
    first = views(cache).training_batch(dataset.records[:2], 0)
    for changes in ({"augmentation__seed": 2}, {"augmentation__contrast": 0.5}, {"data__denoise": "none"}):
        other = views(cache, plan(**changes)).training_batch(dataset.records[:2], 0)
        assert not torch.equal(other, first)
    # The repeats of a study differ in this seed alone, and share what they find here.
    assert torch.equal(views(cache, plan(training__seed=2)).training_batch(dataset.records[:2], 0), first)


def test_fresh_views_never_repeat(dataset: Dataset) -> None:
    fresh = views(None, plan(augmentation__views=0))
    batches = [fresh.training_batch(dataset.records[:1], number) for number in (0, 3, 12)]
    assert not torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])


@pytest.mark.parametrize("freeze", ["early", "none", "all"])
def test_training_learns_what_tells_the_classes_apart(dataset: Dataset, tmp_path: Path, freeze: str) -> None:
    chosen = plan(model__freeze=freeze, training__learning_rate=3e-3 if freeze == "all" else 1e-3)
    bench = trainer(chosen, tmp_path)
    losses: list[float] = []
    train, test = dataset.records[:16], dataset.records[16:]
    bench.fit(train, EpochRange(0, 8, 8), name="x", on_epoch=lambda _, loss: losses.append(loss))
    assert losses[-1] < 0.7 * losses[0]
    probabilities = bench.predict(test)
    assert probabilities.shape == (8, 2)
    assert np.allclose(probabilities.sum(axis=1), 1)
    right = sum(int(row.argmax()) == record.label for row, record in zip(probabilities, test, strict=True))
    assert right >= 7


def test_the_same_seed_and_name_train_the_same_bits(dataset: Dataset, tmp_path: Path) -> None:
    def trained(name: str, seed: int = 1) -> bytes:
        chosen = plan(training__seed=seed)
        bench = trainer(chosen, tmp_path)
        bench.fit(dataset.records[:8], EpochRange(0, 2, 2), name=name)
        return TailLayout.of(bench.model.tail, chosen).pack(bench.model.tail).tobytes()

    assert trained("north") == trained("north")
    assert trained("north") != trained("south")
    assert trained("north") != trained("north", seed=2)


def test_training_touches_nothing_but_the_tail(dataset: Dataset, tmp_path: Path) -> None:
    bench = trainer(plan(), tmp_path)
    state = torch.random.get_rng_state()
    before = {name: tensor.clone() for name, tensor in bench.model.state_dict().items()}
    bench.fit(dataset.records[:8], EpochRange(0, 1, 1), name="x")
    changed = {name for name, tensor in bench.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed
    assert all(name.startswith("tail.") for name in changed)
    assert not any("running" in name or "num_batches" in name for name in changed)
    assert torch.equal(torch.random.get_rng_state(), state)


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
        group = optimizer.param_groups[0]
        norms = [parameter.grad.norm() for parameter in group["params"] if parameter.grad is not None]
        steps.append((group["lr"], float(torch.stack(norms).norm())))

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


def test_gradients_are_clipped_only_if_the_plan_says_so(dataset: Dataset, tmp_path: Path) -> None:
    norms = {}
    for limit in (0.01, 0.0):
        with watched_steps() as steps:
            trainer(plan(training__clip_norm=limit), tmp_path).fit(dataset.records, EpochRange(0, 1, 1), name="x")
        norms[limit] = [norm for _, norm in steps]
    assert all(norm <= 0.0101 for norm in norms[0.01])
    assert all(norm > 0.1 for norm in norms[0.0])


def test_scoring_between_passes_changes_nothing(dataset: Dataset, tmp_path: Path) -> None:
    quiet, scoring = trainer(plan(), tmp_path), trainer(plan(), tmp_path)
    quiet.fit(dataset.records[:8], EpochRange(0, 2, 2), name="x")
    scoring.fit(
        dataset.records[:8],
        EpochRange(0, 2, 2),
        name="x",
        on_epoch=lambda *_: scoring.predict(dataset.records[8:]).sum(),
    )
    assert all(torch.equal(*pair) for pair in zip(quiet.model.parameters(), scoring.model.parameters(), strict=True))


def test_an_interrupted_training_leaves_the_model_fit_for_scoring(dataset: Dataset, tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    bench = trainer(plan(), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        bench.fit(dataset.records[:8], EpochRange(0, 1, 1), name="x", on_epoch=interrupt)
    assert not any(module.training for module in bench.model.modules())


def test_a_training_that_diverges_says_so(dataset: Dataset, tmp_path: Path) -> None:
    bench = trainer(plan(training__learning_rate=1.0, training__clip_norm=0.0), tmp_path)
    with torch.no_grad():
        bench.model.tail.head.classifier.bias[0] = float("inf")
    with pytest.raises(RunError, match="training of x diverged in epoch 1"):
        bench.fit(dataset.records[:8], EpochRange(0, 1, 1), name="x")


def test_class_weights_make_up_for_a_rare_class(dataset: Dataset, tmp_path: Path) -> None:
    rare = [record for record in dataset.records if record.label == 0][:10]
    rare += [record for record in dataset.records if record.label == 1][:2]
    shares = {}
    for policy in ("none", "balanced"):
        bench = trainer(plan(training__class_weights=policy, model__freeze="all"), tmp_path)
        bench.fit(rare, EpochRange(0, 3, 3), name="x")
        shares[policy] = float(bench.predict(dataset.records)[:, 1].mean())
    assert shares["balanced"] > shares["none"]


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("policy", ["none", "balanced"])
def test_the_loss_weighs_images_and_smooths_labels(
    dataset: Dataset, tmp_path: Path, policy: str, smoothing: float
) -> None:
    images = [record for record in dataset.records if record.label == 0][:7]
    images += [record for record in dataset.records if record.label == 1][:2]
    # At next to no learning rate the loss of an epoch is that of the start, however the images fall into batches.
    still = {"training__learning_rate": 1e-12, "model__dropout": 0.0, "training__batch_size": 4}
    chosen = plan(training__class_weights=policy, training__label_smoothing=smoothing, **still)
    bench = trainer(chosen, tmp_path)
    with torch.inference_mode():
        inputs = views(ActivationCache(tmp_path), chosen).training_batch(images, 0)
        logs = bench.model.tail(inputs).log_softmax(dim=1).numpy()
    right = np.concatenate([logs[:7, 0], logs[7:, 1]])
    losses = -(1 - smoothing) * right - smoothing * logs.mean(axis=1)
    expected = losses.mean() if policy == "none" else (losses[:7].mean() + losses[7:].mean()) / 2
    assert bench.fit(images, EpochRange(0, 1, 1), name="x") == pytest.approx(expected, abs=1e-5)


def test_balancing_does_not_teach_a_class_without_images(dataset: Dataset, tmp_path: Path) -> None:
    healthy = [replace(record, label=0) for record in dataset.records]
    bench = trainer(plan(training__class_weights="balanced"), tmp_path)
    assert bench.fit(healthy, EpochRange(0, 4, 4), name="x") > 0
    assert bench.predict(healthy)[:, 1].mean() < 0.2


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_device_is_said() -> None:
    with pytest.raises(InputError, match="this machine has none"):
        pick_device("cuda")
    assert pick_device("auto") == torch.device("cpu") or torch.backends.mps.is_available()


def test_the_proximal_term_holds_the_weights_back(dataset: Dataset, tmp_path: Path) -> None:
    moved = []
    for mu in (0.0, 100.0):
        one = trainer(plan(), tmp_path)
        layout = TailLayout.of(one.model.tail, plan())
        start = layout.pack(one.model.tail)
        one.fit(dataset.records[:8], EpochRange(0, 6, 6), name="x", proximal_mu=mu)
        moved.append(float(np.linalg.norm(layout.pack(one.model.tail) - start)))
    assert moved[1] < 0.7 * moved[0]


def test_test_time_augmentation_averages_the_image_with_its_views(dataset: Dataset, tmp_path: Path) -> None:
    one = trainer(plan(), tmp_path)
    records = dataset.records[:4]
    inputs = [
        one._activations.plain_batch(records),
        *(one._activations.training_batch(records, view) for view in (0, 1)),
    ]
    with torch.inference_mode():
        expected = np.mean([one.model.tail(batch).double().softmax(dim=1).numpy() for batch in inputs], axis=0)
    found = one.predict(records, views=2)
    assert np.allclose(found, expected, atol=1e-7)
    assert not np.allclose(found, one.predict(records))
    assert np.allclose(found.sum(axis=1), 1)


def test_features_are_the_pooled_outputs_of_the_frozen_network(dataset: Dataset, tmp_path: Path) -> None:
    frozen = trainer(plan(model__freeze="all"), tmp_path)
    features = frozen.features(dataset.records[:3])
    assert features.shape == (3, 1280)
    head = frozen.model.tail.head.classifier
    logits = torch.from_numpy(features).float() @ head.weight.T + head.bias
    expected = frozen.predict(dataset.records[:3])
    assert np.allclose(logits.softmax(dim=1).detach().numpy(), expected, atol=1e-5)
    assert frozen.features([]).shape == (0, 1280)
