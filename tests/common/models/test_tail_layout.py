"""What of a tail travels, and how it lies in its vector."""

import numpy as np
import pytest
import torch

from common.errors import InputError
from common.models.classifier import build_model
from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan

PLAN = TrainingPlan.from_flat({"model.weights": "none", "model.freeze": "block6"})


TRAINED = PLAN.changed({"model.batch_norm": "train"})


FEDBN = TRAINED.changed({"federation.strategy": "fedbn"})


MODEL = build_model(PLAN, 2)


def test_a_tail_is_packed_and_unpacked_whole() -> None:
    layout = TailLayout.of(MODEL.tail, PLAN)
    vector = layout.pack(MODEL.tail)
    assert vector.dtype == np.float32
    assert vector.shape == (layout.size,)
    moved = vector + 1
    layout.unpack(moved, MODEL.tail)
    assert np.array_equal(layout.pack(MODEL.tail), moved)
    layout.unpack(vector, MODEL.tail)
    assert torch.equal(
        torch.from_numpy(layout.tensors(vector)["head.classifier.bias"]), MODEL.tail.head.classifier.bias
    )


def test_statistics_travel_only_if_they_are_trained() -> None:
    frozen, trained = TailLayout.of(MODEL.tail, PLAN), TailLayout.of(MODEL.tail, TRAINED)
    assert not any("running" in name for name in frozen.names)
    assert {name.rpartition(".")[2] for name in set(trained.names) - set(frozen.names)} == {
        "running_mean",
        "running_var",
    }


@pytest.mark.parametrize("freeze", ["early", "block6", "none"])
def test_under_fedbn_exactly_the_normalisation_layers_stay(freeze: str) -> None:
    plan = FEDBN.changed({"model.freeze": freeze})
    tail = build_model(plan, 2).tail
    travels, stays = TailLayout.of(tail, plan), TailLayout.personal(tail, plan)
    norms = [path for path, module in tail.named_modules() if "BatchNorm" in type(module).__name__]
    assert norms
    parts = ("weight", "bias", "running_mean", "running_var")
    assert set(stays.names) == {f"{path}.{part}" for path in norms for part in parts}
    assert set(travels.names) == {name for name, _ in tail.named_parameters()} - set(stays.names)
    all_of_it = TailLayout.of(tail, plan.changed({"federation.strategy": "fedavg"}))
    assert travels.size + stays.size == all_of_it.size
    assert TailLayout.personal(tail, TRAINED).size == 0


def test_what_travels_does_not_touch_what_stays() -> None:
    tail = build_model(FEDBN, 2).tail
    travels, stays = TailLayout.of(tail, FEDBN), TailLayout.personal(tail, FEDBN)
    own = stays.pack(tail)
    travels.unpack(travels.pack(tail) + 1, tail)
    assert np.array_equal(stays.pack(tail), own)
    nothing = TailLayout.personal(tail, TRAINED)
    assert nothing.pack(tail).shape == (0,)
    nothing.unpack(nothing.pack(tail), tail)


def test_fedbn_without_a_normalisation_layer_is_refused() -> None:
    with pytest.raises(InputError, match="needs normalisation layers"):
        TailLayout.of(MODEL.tail.head, FEDBN)


def test_a_vector_of_another_model_is_refused() -> None:
    layout = TailLayout.of(MODEL.tail, PLAN)
    with pytest.raises(ValueError, match="does not fit a layout"):
        layout.unpack(np.zeros(layout.size + 1, np.float32), MODEL.tail)
