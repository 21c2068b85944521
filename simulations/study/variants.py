"""The variants of a study: its plan with each combination of what it sweeps over."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from common.errors import InputError
from common.models.pretrained_weights import find_weights
from common.plan.families import FAMILIES
from common.plan.groups import Scalar
from common.plan.study import parse_recipes
from common.plan.training_plan import TrainingPlan
from simulations.sites.consortium import SimulatedConsortium, load_consortium
from simulations.study.arms import WITHOUT_PRETRAINING

_SWEPT = ("study.models", "study.strategies", "study.partitions", "study.site_counts", "study.faults", "study.recipes")

# What each word of study.faults changes in a plan that says how many drop out or are hostile.
_FAULTS: dict[str, dict[str, Scalar]] = {
    "none": {"study.dropout": 0.0, "study.hostile_sites": 0},
    "dropout": {"study.hostile_sites": 0},
    "scaled": {"study.dropout": 0.0, "study.hostile": "scaled"},
    "flipped": {"study.dropout": 0.0, "study.hostile": "flipped"},
}


@dataclass(frozen=True)
class Variant:
    """One combination of what a study sweeps over.

    Attributes
    ----------
    plan : TrainingPlan
        The study's plan with the combination's family, strategy, partition, number of sites, faults and recipe.
    recipe : str
        The recipe's name; "" for that of the study's plan.
    baseline : str
        With a recipe: the name of the same variant by the study's plan.
    """

    plan: TrainingPlan
    recipe: str = ""
    baseline: str = ""

    @cached_property
    def consortium(self) -> SimulatedConsortium:
        """The sites and the first split."""
        return load_consortium(plan_of_fold(self.plan, 0, 0))

    @property
    def name(self) -> str:
        """Such as `resnet50-fedavg-dirichlet-4`: the name of the variant's folder."""
        consortium = self.consortium
        plan = self.plan
        name = f"{plan.model.family}-{plan.federation.strategy}-{consortium.partition}-{len(consortium.sites)}"
        if plan.study.dropout:
            name += f"-dropout{plan.study.dropout:g}"
        if plan.study.hostile_sites:
            name += f"-{plan.study.hostile_sites}{plan.study.hostile}"
        return f"{name}-{self.recipe}" if self.recipe else name


def plan_of_fold(plan: TrainingPlan, repeat: int, fold: int) -> TrainingPlan:
    """Return the plan of one fold of one repeat; that of a single split is the plan itself."""
    if not plan.study.folds:
        return plan
    return plan.changed(
        {
            "data.test_fraction": 1 / plan.study.folds,
            "data.fold": fold,
            "training.seed": plan.training.seed + repeat,
        }
    )


def variants_of(plan: TrainingPlan) -> tuple[list[Variant], dict[str, str]]:
    """Return a plan's variants, the plan's own choice first, and the families left out with the reason.

    Raises
    ------
    InputError
        If no family of the plan has weights, or the data cannot be dealt out as a variant says.
    """
    study = plan.study
    families, missing = _families(plan)
    variants: dict[str, Variant] = {}
    partitions = study.swept("partitions") or (study.partition,)
    counts = [int(word) for word in study.swept("site_counts")] or [study.sites]
    strategies = study.swept("strategies") or (plan.federation.strategy,)
    faults = [_FAULTS[word] for word in study.swept("faults")] or [{}]
    recipes = {"": {}, **parse_recipes(study.recipes)}
    for recipe, changes, strategy, partition, count, fault in itertools.product(
        recipes, families, strategies, partitions, counts, faults
    ):
        # Nobody chooses the number of natural sites.
        sites = 0 if partition == "natural" and study.site_counts else count
        own = Variant(
            plan.changed(
                {
                    **changes,
                    "federation.strategy": strategy,
                    "study.partition": partition,
                    "study.sites": sites,
                    **dict.fromkeys(_SWEPT, ""),
                    **fault,
                }
            )
        )
        variant = Variant(_by_recipe(own.plan, recipes[recipe]), recipe, own.name) if recipe else own
        variants.setdefault(variant.name, variant)
    return list(variants.values()), missing


def _by_recipe(plan: TrainingPlan, changes: Mapping[str, Scalar]) -> TrainingPlan:
    """Return the plan that a recipe makes of a variant's; a side that the recipe names comes before a family's own."""
    if "data.size" in changes:
        return plan.changed({"study.own_size": False, **changes})
    changed = plan.changed(changes)
    return changed.changed({"data.size": changed.size_for(changed.model.family)})


def _families(plan: TrainingPlan) -> tuple[list[dict[str, Scalar]], dict[str, str]]:
    """Return the plan's changes for every family that can be trained, and the reasons of the others."""
    found: list[dict[str, Scalar]] = []
    missing: dict[str, str] = {}
    for name in plan.families:
        changes: dict[str, Scalar] = {"model.family": name, "data.size": plan.size_for(name)}
        if name != plan.model.family and plan.model.freeze not in ("none", "early", "all"):
            changes["model.freeze"] = "early"  # the plan's stage is another family's
        try:
            find_weights(FAMILIES[name], plan.model.weights)
        except InputError as error:
            if plan.study.missing_weights == "report":
                missing[name] = str(error)
                continue
            changes |= WITHOUT_PRETRAINING
        found.append(changes)
    if not found:
        raise InputError("; ".join(missing.values()))
    return found, missing
