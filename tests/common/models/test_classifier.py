from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from common.models.classifier import build_model
from common.plan.families import FAMILIES
from common.plan.training_plan import TrainingPlan

SIZE = 80


def plan(**model: Any) -> TrainingPlan:
    return TrainingPlan.from_flat({"model.weights": "none"} | {f"model.{key}": value for key, value in model.items()})


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "vgg16" else ()) for name in FAMILIES]
)
def test_the_two_halves_are_timms_network(name: str, tmp_path: Any) -> None:
    family = FAMILIES[name]
    torch.manual_seed(5)
    network = timm.create_model(family.timm_name, pretrained=False).eval()
    save_file(
        {key: value.contiguous() for key, value in network.state_dict().items()}, tmp_path / f"{name}.safetensors"
    )
    model = build_model(plan(family=name, weights=str(tmp_path)), 3)
    assert model.weights is not None
    assert model.weights.source == "given"
    images = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        features = network.features(images) if name == "vgg16" else network.forward_features(images)
        assert torch.allclose(model.tail[:-1](model.trunk(images)), features, atol=1e-5)
        assert model(images).shape == (2, 3)
    assert features.shape[1] == family.features
    assert model.mean == network.pretrained_cfg["mean"]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_network_takes_images_of_any_side_from_its_least(name: str) -> None:
    model = build_model(plan(family=name), 3).eval()
    for side in (FAMILIES[name].least_size, 225, 256, 300):
        with torch.no_grad():
            scores = model(torch.ones(1, 3, side, side))
        assert scores.shape == (1, 3)
        assert scores.isfinite().all()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_stage_of_a_normalised_family_holds_a_normalisation_layer_and_of_others_none(name: str) -> None:
    stages = [*build_model(plan(family=name, freeze="none"), 2).tail[:-1]]
    normalised = [any(isinstance(module, nn.BatchNorm2d) for module in stage.modules()) for stage in stages]
    assert normalised == [FAMILIES[name].normalised] * len(stages)


@pytest.mark.parametrize(("freeze", "trained"), [("none", 9), ("early", 4), ("all", 1), ("block5", 3)])
def test_freezing_decides_what_is_trained(freeze: str, trained: int) -> None:
    model = build_model(plan(freeze=freeze), 2)
    assert [*model.trunk._modules, *model.tail._modules] == [*FAMILIES["efficientnet_lite0"].stage_names, "head"]
    assert len(model.tail) == trained + (freeze == "none")
    assert not any(parameter.requires_grad for parameter in model.trunk.parameters())
    assert all(parameter.requires_grad for parameter in model.tail.parameters())


@pytest.mark.parametrize(("batch_norm", "learns_statistics"), [("frozen", False), ("train", True)])
def test_batch_norm_keeps_its_pretrained_statistics(batch_norm: str, learns_statistics: bool) -> None:
    model = build_model(plan(batch_norm=batch_norm), 2).train()
    assert not any(module.training for module in model.trunk.modules())
    norms = [module for module in model.tail.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert {module.training for module in norms} == {learns_statistics}
    assert model.tail.head.dropout.training


def test_the_same_plan_gives_the_same_tensors() -> None:
    first, again = build_model(plan(), 2), build_model(plan(), 2)
    other = build_model(plan().changed({"training.seed": 9}), 2)
    assert first.trunk_digest == again.trunk_digest != other.trunk_digest
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name])


def test_building_leaves_the_global_random_state_alone() -> None:
    before = torch.random.get_rng_state()
    build_model(plan(), 2)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_trunk_digest_is_of_the_weights_and_not_of_their_format() -> None:
    model = build_model(plan(), 2)
    digest = model.trunk_digest
    model.trunk.to(torch.bfloat16)
    assert model.trunk_digest == digest
