"""The train loop and the predict loop."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from common.dataset.records import Dataset
from common.errors import InputError, RunError
from common.models.tail_layout import TailLayout
from common.training.activation_cache import ActivationCache
from common.training.tail_optimizer import TailOptimizer
from common.training.trainer import EpochRange
from tests.common.training.small_plan import plan, trainer, views


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


@pytest.mark.parametrize(("size", "scale"), [(256, 1), (256, 1.2), (300, 1)])
def test_larger_images_are_trained_on_and_tested(dataset: Dataset, tmp_path: Path, size: int, scale: float) -> None:
    bench = trainer(plan(data__size=size, augmentation__read_scale=scale, augmentation__views=1), tmp_path)
    assert np.isfinite(bench.fit(dataset.records[:4], EpochRange(0, 1, 1), name="x"))
    probabilities = bench.predict(dataset.records[4:7], 1)
    assert np.allclose(probabilities.sum(axis=1), 1)


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


@pytest.mark.parametrize("batch_norm", ["frozen", "train"])
def test_the_head_is_trained_alone_first_if_the_plan_says_so(dataset: Dataset, tmp_path: Path, batch_norm: str) -> None:
    bench = trainer(plan(training__head_epochs=1, model__batch_norm=batch_norm), tmp_path)

    def changed_by(epochs: EpochRange) -> set[str]:
        before = {name: tensor.clone() for name, tensor in bench.model.tail.state_dict().items()}
        bench.fit(dataset.records[:8], epochs, name="x", proximal_mu=0.1)
        after = bench.model.tail.state_dict()
        return {name.partition(".")[0] for name, tensor in after.items() if not torch.equal(tensor, before[name])}

    assert changed_by(EpochRange(0, 1, 3)) == {"head"}
    assert changed_by(EpochRange(1, 2, 3)) == {"block5", "block6", "top", "head"}
    assert all(parameter.requires_grad for parameter in bench.model.tail.parameters())


def test_mixed_images_train_the_same_bits_each_time(dataset: Dataset, tmp_path: Path) -> None:
    def loss(mixup: float) -> float:
        return trainer(plan(training__mixup=mixup), tmp_path).fit(dataset.records[:8], EpochRange(0, 2, 2), name="x")

    assert loss(0.4) == loss(0.4) != loss(0.0)


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


@pytest.mark.parametrize("images", [5, 9])
def test_a_last_image_joins_the_batch_before_where_batch_norm_trains(
    dataset: Dataset, tmp_path: Path, images: int
) -> None:
    # 32 pixels leave one pixel of features, of which a single image has no variance.
    chosen = plan(model__batch_norm="train", data__size=32, training__batch_size=4)
    assert np.isfinite(trainer(chosen, tmp_path).fit(dataset.records[:images], EpochRange(0, 1, 1), name="x"))


def test_batch_norm_is_not_trained_on_one_image(dataset: Dataset, tmp_path: Path) -> None:
    bench = trainer(plan(model__batch_norm="train"), tmp_path)
    with pytest.raises(RunError, match=r"BatchNorm cannot be trained on a single image: set model\.batch_norm=frozen"):
        bench.fit(dataset.records[:1], EpochRange(0, 1, 1), name="x")
    with pytest.raises(InputError, match=r"needs batches of at least two images"):
        plan(model__batch_norm="train", training__batch_size=1)


def test_statistics_that_diverge_are_said(dataset: Dataset, tmp_path: Path) -> None:
    bench = trainer(plan(model__batch_norm="train"), tmp_path)
    statistics = next(value for name, value in bench.model.tail.named_buffers() if name.endswith("running_var"))
    statistics.fill_(float("inf"))
    with pytest.raises(RunError, match="training of x diverged in epoch 1"):
        bench.fit(dataset.records[:8], EpochRange(0, 1, 1), name="x")


def test_a_last_step_that_diverges_is_said(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = TailOptimizer.step

    def overflow(self: TailOptimizer, loss: torch.Tensor, *, progress: float) -> None:
        step(self, loss, progress=progress)
        if progress >= 0.5:
            next(bench.model.tail.parameters()).data.fill_(float("inf"))

    monkeypatch.setattr(TailOptimizer, "step", overflow)
    bench = trainer(plan(training__batch_size=4), tmp_path)
    with pytest.raises(RunError, match=r"diverged in epoch 1: lower training\.learning_rate"):
        bench.fit(dataset.records[:8], EpochRange(0, 1, 1), name="x")
