"""What a federation loses when hospitals fail: the two measurements of `rarefed-sim robustness`, and their tests."""

from collections.abc import Mapping

from common.plan.families import FAMILIES
from common.plan.groups import ModelPlan, Scalar
from common.plan.training_plan import TrainingPlan
from common.statistics.bootstrap import Bootstrap
from common.summary.comparison import PairedTestRecord
from simulations.analysis.arm_comparison import compare_predictions
from simulations.analysis.predictions import Predictions
from simulations.study.variants import Variant

# All images are tested, since in a single split one image is nearly three points.
_COMMON: dict[str, Scalar] = {"study.arms": "federated", "study.folds": 5}
_MEASUREMENTS: dict[str, dict[str, Scalar]] = {
    "dropout": {
        "study.sites": 20,
        "federation.rounds": 30,
        "study.dropout": 0.3,
        "study.faults": "none,dropout",
    },
    "hostile": {
        "study.sites": 5,
        "study.hostile_sites": 1,
        "federation.malicious_sites": 1,
        "study.strategies": "fedavg,fedmedian,fedtrimmedavg,krum,multikrum",
        "study.faults": "none,scaled,flipped",
    },
}


def robustness_plans(changes: Mapping[str, Scalar]) -> list[TrainingPlan]:
    """Return the studies that measure what dropouts and hostile hospitals cost; `changes` are the user's own."""
    common = {**_COMMON, **_smaller_tail(changes)}
    return [
        TrainingPlan.from_flat({**common, **keys, "study.name": f"robustness-{name}", **changes})
        for name, keys in _MEASUREMENTS.items()
    ]


def _smaller_tail(changes: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Freeze one stage more than usual where the family has one to spare, which takes a third of the time."""
    family = FAMILIES.get(str(changes.get("model.family", ModelPlan().family)))
    return {"model.freeze": family.late} if family else {}


def is_disturbed(variant: Variant) -> bool:
    """Say whether hospitals fail in a variant."""
    return bool(variant.plan.study.dropout or variant.plan.study.hostile_sites)


def against_undisturbed(
    predictions: Mapping[Variant, Predictions],
) -> dict[Variant, dict[str, PairedTestRecord]]:
    """Test the federated arm of every variant against the undisturbed ones.

    Parameters
    ----------
    predictions : mapping of Variant to Predictions
        Of the federated arm, the study's own choice first.

    Returns
    -------
    dict of Variant to dict
        `same`: against the same variant without faults; `first`: against the first variant. Each is missing where no
        such variant ran on the same images and sites.
    """
    first = next(iter(predictions))
    found: dict[Variant, dict[str, PairedTestRecord]] = {variant: {} for variant in predictions}
    for variant, own in predictions.items():
        alike = (other for other in predictions if not is_disturbed(other) and _like(other) == _like(variant))
        for key, other in (("same", next(alike, None)), ("first", None if is_disturbed(first) else first)):
            if other is None or other == variant or not _same_sites(variant, other):
                continue
            names = (variant.name, other.name)
            found[variant][key] = compare_predictions(own, predictions[other], Bootstrap.draw(own.patients), names)
    return found


def _like(variant: Variant) -> tuple[str, str, int, str]:
    plan, consortium = variant.plan, variant.consortium
    return plan.model.family, consortium.partition, len(consortium.sites), plan.federation.strategy


def _same_sites(one: Variant, other: Variant) -> bool:
    return one.consortium.digest == other.consortium.digest
