from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from common.models.classifier import build_model
from common.models.tail_layout import TailLayout
from common.plan.training_plan import TrainingPlan
from common.summary.arm import ArmRecord, CurvePointRecord, SelectedRecord
from common.summary.summary import CostRecord, DatasetRecord, DesignRecord, SiteRecord, Summary
from server.runs.released_model import release_model

SUMMARY = Summary(
    rarefed="0",
    created="today",
    name="x",
    dataset=DatasetRecord(
        name="x",
        synthetic=False,
        images=12,
        classes=["no", "yes"],
        sites=[SiteRecord(name="north", images=12, train=10, validation=2, test=None)],
    ),
    weights_source="none",
    weights_sha256=None,
    study=DesignRecord(folds=1, repeats=1, tested=0, strategy="fedbn"),
    arms={"federated": ArmRecord(weights_digest={"global": "abc"}, selected=SelectedRecord(progress=1.0))},
    federated_evaluation=None,
    cost=CostRecord(rounds=3),
)


@pytest.mark.parametrize("strategy", ["fedavg", "fedbn"])
def test_a_released_model_holds_what_travelled_and_its_card_says_what_did_not(tmp_path: Path, strategy: str) -> None:
    plan = TrainingPlan.from_flat(
        {"model.weights": "none", "model.batch_norm": "train", "federation.strategy": strategy}
    )
    start = build_model(plan, 2).state_dict()
    model = build_model(plan, 2)
    layout, personal = TailLayout.of(model.tail, plan), TailLayout.personal(model.tail, plan)
    folder = release_model(tmp_path, plan, ("no", "yes"), model, np.full(layout.size, 0.5, np.float32), SUMMARY)
    released = load_file(folder / "model.safetensors")
    for name, tensor in released.items():
        travelled = name.removeprefix("tail.") in layout.names and name.startswith("tail.")
        assert torch.equal(tensor, torch.full_like(tensor, 0.5) if travelled else start[name])
    assert bool(personal.names) == (strategy == "fedbn")
    said = "Normalisation layers: the pretrained ones" in (folder / "card.md").read_text()
    assert said == (strategy == "fedbn")


@pytest.mark.parametrize(
    ("rule", "averaged_from", "scored", "said"),
    [
        ("best", None, True, "the model after round 12, selected by validation losses (federation.select = best)"),
        ("best", None, False, "the model after round 12, the last one"),
        ("last", None, True, "the model after round 12, the last one"),
        ("mean", 10 / 12, True, "the mean of the models after rounds 10 to 12"),
        ("ema", 1 / 12, False, "the exponential average of the models after rounds 1 to 12"),
    ],
)
def test_the_card_says_of_which_rounds_a_model_is(
    tmp_path: Path, rule: str, averaged_from: float | None, scored: bool, said: str
) -> None:
    plan = TrainingPlan.from_flat({"model.weights": "none", "federation.rounds": 12, "federation.select": rule})
    model = build_model(plan, 2)
    tail = TailLayout.of(model.tail, plan).pack(model.tail)
    curve = [CurvePointRecord(progress=1.0, validation_loss=0.5 if scored else None)]
    arm = SUMMARY.arms["federated"].extended(
        selected=SelectedRecord(progress=1.0, averaged_from=averaged_from), learning_curve=curve
    )
    summary = SUMMARY.model_copy(update={"arms": {"federated": arm}})
    folder = release_model(tmp_path, plan, ("no", "yes"), model, tail, summary)
    assert f"12 rounds; this is {said}\n" in (folder / "card.md").read_text()
