"""The activations of images and their augmented views, cached or not."""

import inspect
from pathlib import Path
from types import ModuleType

import pytest
import torch

from common.dataset.records import Dataset
from common.imaging import augmentation, colour, preprocess
from common.imaging.preprocess import resize_and_denoise, shrink
from common.models.classifier import build_model
from common.training import activations
from common.training.activation_cache import ActivationCache
from common.training.activations import cached_bytes
from tests.common.training.small_plan import plan, views

LARGER = {"augmentation__read_scale": 90 / 64}


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
    some = views(ActivationCache(tmp_path / "some"), many)
    for epoch in range(3):
        some.training_batch(dataset.records[:2], epoch)
    assert len(list((tmp_path / "some").rglob("*.safetensors"))) == 6


def test_whatever_is_missing_is_computed_to_the_same_bits(dataset: Dataset, tmp_path: Path) -> None:
    """In other company, in another order, and beyond the limit of a cache."""
    records = dataset.records[:7]
    expected = views(ActivationCache(tmp_path / "all")).training_batch(records, 1)
    tiny = views(ActivationCache(tmp_path / "tiny", limit_bytes=1))
    tiny.training_batch(records[2:3], 1)
    assert torch.equal(tiny.training_batch(records, 1), expected)
    backwards = views(ActivationCache(tmp_path / "other")).training_batch(records[::-1], 1)
    assert torch.equal(backwards.flip(0), expected)


def test_the_need_for_the_cache_is_known_before_training(dataset: Dataset, tmp_path: Path) -> None:
    chosen = plan(augmentation__views=4)
    cached = views(ActivationCache(tmp_path), chosen)
    for epoch in range(4):
        cached.training_batch(dataset.records[:3], epoch)
    cached.plain_batch(dataset.records[:3])
    held = sum(path.stat().st_size for path in tmp_path.rglob("*.safetensors"))
    needed = cached_bytes(chosen, build_model(chosen, 2), 3)
    assert needed <= held <= 1.05 * needed + 15 * 200
    assert cached_bytes(plan(augmentation__views=0), build_model(chosen, 2), 3) == 0


@pytest.mark.parametrize("changes", [{}, LARGER])
def test_without_a_cache_the_same_views_are_computed(dataset: Dataset, tmp_path: Path, changes: dict[str, int]) -> None:
    exact = plan(training__precision="float32", **changes)
    cached, computed = views(ActivationCache(tmp_path), exact), views(None, exact)
    for number in (0, 2):
        expected = cached.training_batch(dataset.records[:4], number)
        assert torch.allclose(computed.training_batch(dataset.records[:4], number), expected, atol=1e-4)
    plain = cached.plain_batch(dataset.records[:4])
    assert torch.allclose(computed.plain_batch(dataset.records[:4]), plain, atol=1e-4)


def test_another_recipe_does_not_find_the_same_entries(dataset: Dataset, tmp_path: Path) -> None:
    cache = ActivationCache(tmp_path)
    first = views(cache).training_batch(dataset.records[:2], 0)
    for changes in ({"augmentation__seed": 2}, {"augmentation__contrast": 0.5}, {"data__denoise": "median"}, LARGER):
        other = views(cache, plan(**changes)).training_batch(dataset.records[:2], 0)
        assert not torch.equal(other, first)
    # The repeats of a study differ in this seed alone, and share what they find here.
    assert torch.equal(views(cache, plan(training__seed=2)).training_batch(dataset.records[:2], 0), first)


@pytest.mark.parametrize("module", [preprocess, augmentation, colour])
def test_other_code_of_what_makes_the_pixels_does_not_find_the_same_entries(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: ModuleType
) -> None:
    views(ActivationCache(tmp_path)).plain_batch(dataset.records[:2])
    source = inspect.getsource
    monkeypatch.setattr(inspect, "getsource", lambda of: source(of) + ("# changed" if of is module else ""))
    views(ActivationCache(tmp_path)).plain_batch(dataset.records[:2])
    assert len(list(tmp_path.rglob("*.safetensors"))) == 4


def test_a_plain_image_is_what_was_read_at_the_larger_side_and_shrunk(dataset: Dataset) -> None:
    chosen = plan(model__freeze="none", **LARGER)
    record = dataset.records[0]
    pixels = shrink(resize_and_denoise(record.source.pixels(), chosen.data, 90), 64)
    model = build_model(chosen, 2)
    expected = activations.normalise(pixels[None], model.mean, model.std)
    assert torch.equal(views(None, chosen).plain_batch([record]), expected)


def test_crops_from_as_many_pixels_as_the_network_sees_change_no_bit(dataset: Dataset, tmp_path: Path) -> None:
    usual, told = (views(ActivationCache(tmp_path), plan(augmentation__read_scale=scale)) for scale in (1, 1.004))
    assert torch.equal(usual.training_batch(dataset.records[:4], 1), told.training_batch(dataset.records[:4], 1))
    assert torch.equal(usual.plain_batch(dataset.records[:4]), told.plain_batch(dataset.records[:4]))


def test_images_in_memory_are_bounded_by_their_bytes(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activations, "_BYTES_IN_MEMORY", 100_000)
    for side, kept in ((64, 8), (90, 4), (150, 1)):
        some = views(None, plan(model__freeze="none", augmentation__read_scale=side / 64))
        some.plain_batch(dataset.records[:10])
        assert some._canonical.cache_info().currsize == kept


def test_fresh_views_never_repeat(dataset: Dataset) -> None:
    fresh = views(None, plan(augmentation__views=0))
    batches = [fresh.training_batch(dataset.records[:1], number) for number in (0, 3, 12)]
    assert not torch.equal(batches[0], batches[1])
    assert not torch.equal(batches[0], batches[2])
