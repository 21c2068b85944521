"""The released model of a run: the whole network in one safetensors file, its plan, and a model card."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save

from common.models.classifier import Classifier
from common.models.tail_layout import TailLayout
from common.plan.selection import COMPARING
from common.plan.training_plan import TrainingPlan
from common.summary.arm import ArmRecord
from common.summary.summary import Summary
from common.system.files import write_bytes_atomically, write_json_atomically, write_text_atomically

FOLDER = "model"

_PERSONAL = """
- Normalisation layers: the pretrained ones. Each hospital trained others, was tested with them, and keeps them"""


def release_model(
    run: Path,
    plan: TrainingPlan,
    classes: tuple[str, ...],
    model: Classifier,
    tail: NDArray[np.float32],
    summary: Summary,
) -> Path:
    """Write `model/` into a run folder: `model.safetensors`, `plan.json` and `card.md`; return the folder.

    Parameters
    ----------
    run : Path
        The run folder.
    plan : TrainingPlan
        The plan by which the model was trained.
    classes : tuple of str
        In label order.
    model : Classifier
        The network, into which the selected tail is loaded. With fedbn it keeps the pretrained normalisation layers,
        since each hospital has its own.
    tail : ndarray of float32, shape (layout.size,)
        The selected tail.
    summary : Summary
        Summary of the run.
    """
    layout = TailLayout.of(model.tail, plan)
    layout.unpack(tail, model.tail)
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    metadata = {
        "rarefed": summary.rarefed,
        "family": plan.model.family,
        "classes": json.dumps(list(classes), ensure_ascii=False),
        "plan_digest": plan.digest,
        "trunk_digest": model.trunk_digest,
        "weights_digest": summary.arms["federated"].weights_digest["global"],
    }
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    write_bytes_atomically(folder / "model.safetensors", save(tensors, metadata))
    write_json_atomically(folder / "plan.json", {"digest": plan.digest, "plan": plan.model_dump()})
    personal = bool(TailLayout.personal(model.tail, plan).names)
    write_text_atomically(folder / "card.md", _card(plan, classes, summary, metadata, personal))
    return folder


def _card(
    plan: TrainingPlan, classes: tuple[str, ...], summary: Summary, metadata: dict[str, str], personal: bool
) -> str:
    arm = summary.arms["federated"]
    sites = "\n".join(
        f"| {site.name} | {site.train} | {_told(site.validation)} | {_told(site.test)} |"
        for site in summary.dataset.sites
    )
    own = _PERSONAL if personal else ""
    return f"""# {summary.name}: released model

Not a medical device: for research, until someone has validated it for a use and taken responsibility for it.

- Network: {metadata["family"]}, start weights {summary.weights_source} (SHA-256 {summary.weights_sha256})
- Classes, in the order of the outputs: {", ".join(classes)}
- Trained by {summary.study.strategy} over {len(summary.dataset.sites)} hospitals, \
{plan.federation.rounds} rounds; this is {_origin(plan, arm)}{own}
- Plan digest {metadata["plan_digest"]}
- Weights digest {metadata["weights_digest"]}
- Made {summary.created} by rarefed {metadata["rarefed"]}

## On the hospitals' test patients

{_tested(arm) if summary.federated_evaluation else "No hospital shares scores, so nobody knows."}

## Hospitals

| hospital | training images | validation | test |
|---|---|---|---|
{sites}
"""


def _tested(arm: ArmRecord) -> str:
    rows = [
        f"{arm.correct} of {arm.total} images right.",
        "",
        "| metric | value | 95 % interval |",
        "|---|---|---|",
    ]
    for name in ("accuracy", "sensitivity", "specificity", "precision", "f1", "auc"):
        interval, value = arm.ci95.get(name), getattr(arm, name)
        limits = f"{interval[0]:.3f} to {interval[1]:.3f}" if interval else "-"
        rows.append(f"| {name} | {'-' if value is None else format(value, '.3f')} | {limits} |")
    rows += ["", "Intervals count every image as a patient: hospitals do not tell whose images they are."]
    return "\n".join(rows)


def _origin(plan: TrainingPlan, arm: ArmRecord) -> str:
    """Say of which rounds the model is, and why of those."""
    assert arm.selected is not None
    assert arm.selected.progress is not None
    rule, rounds = plan.federation.select, plan.federation.rounds
    number = round(arm.selected.progress * rounds)
    if arm.selected.averaged_from is not None:
        average = "exponential average" if rule == "ema" else "mean"
        return f"the {average} of the models after rounds {round(arm.selected.averaged_from * rounds)} to {number}"
    if rule in COMPARING and any(point.validation_loss is not None for point in arm.learning_curve):
        return f"the model after round {number}, selected by validation losses (federation.select = {rule})"
    return f"the model after round {number}, the last one"


def _told(count: int | None) -> str:
    return "not told" if count is None else str(count)
