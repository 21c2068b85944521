"""What a study consists of: variants of the plan, and in each the single trainings that can be done one by one."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version

from common.errors import InputError
from common.families import FAMILIES
from common.plan import Scalar, TrainingPlan
from common.weights import find_weights
from simulations.hospitals import Hospitals, load_hospitals

FROM_SCRATCH: dict[str, Scalar] = {"model.weights": "none", "model.freeze": "none", "model.batch_norm": "train"}
"""What a plan without pretraining changes: nothing is worth freezing then, not even the statistics."""

_SWEPT = ("study.models", "study.strategies", "study.partitions", "study.site_counts", "study.faults")
# What each word of study.faults makes of a plan that says how many drop out or are hostile.
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
        The study's plan with the combination's family, strategy, partition, number of sites and faults.
    """

    plan: TrainingPlan

    @cached_property
    def hospitals(self) -> Hospitals:
        """The sites and the first split."""
        return load_hospitals(plan_of_fold(self.plan, 0, 0))

    @property
    def name(self) -> str:
        """Such as `resnet50-fedavg-dirichlet-4`: the name of the variant's folder."""
        hospitals = self.hospitals
        plan = self.plan
        name = f"{plan.model.family}-{plan.federation.strategy}-{hospitals.partition}-{len(hospitals.sites)}"
        if plan.study.dropout:
            name += f"-dropout{plan.study.dropout:g}"
        if plan.study.hostile_sites:
            name += f"-{plan.study.hostile_sites}{plan.study.hostile}"
        return name


@dataclass(frozen=True)
class Unit:
    """One training whose outcome is kept: an arm on one fold of one repeat, or one hospital's part of the local arm.

    Attributes
    ----------
    arm : str
        One of `common.plan.ARMS`.
    plan : TrainingPlan
        With the fold and the repeat's seed.
    repeat, fold : int
        From 0.
    site : str
        The hospital that trains alone; "" for all arms but the local one.
    """

    arm: str
    plan: TrainingPlan
    repeat: int
    fold: int
    site: str = ""

    @cached_property
    def hospitals(self) -> Hospitals:
        """The sites with this fold's split."""
        return load_hospitals(self.plan)

    @cached_property
    def key(self) -> str:
        """Digest of everything that the outcome depends on; two units of one key need one training."""
        plan = self.plan.model_dump()
        # The sites and their splits are in the digest of the hospitals; of the rest of the study only faults change a
        # training.
        study = plan.pop("study")
        if self.arm == "federated" and (study["dropout"] or study["hostile_sites"]):
            plan["faults"] = {name: study[name] for name in ("seed", "dropout", "hostile_sites", "hostile")}
        if self.arm != "federated":
            del plan["exchange"], plan["privacy"]
            plan["federation"] = {"select": plan["federation"]["select"]}
            plan["alone"] = {name: study[name] for name in ("centralized_epochs", "centralized_batch_size")}
        identity = [version("rarefed"), self.arm, self.site, self.hospitals.digest, plan]
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:20]

    @property
    def title(self) -> str:
        """How progress lines call it."""
        where = f" {self.site}" if self.site else ""
        if not self.plan.study.folds:
            return f"{self.arm}{where}"
        repeat = f"repeat {self.repeat + 1} " if self.plan.study.repeats > 1 else ""
        return f"{repeat}fold {self.fold + 1}/{self.plan.study.folds} {self.arm}{where}"

    @property
    def image_passes(self) -> int:
        """How many training images the training is going to show to the network; 0 for the probe."""
        study, federation = self.plan.study, self.plan.federation
        if self.arm == "probe":
            return 0
        if self.arm == "local":
            return study.centralized_epochs * sum(
                len(site.split.train) for site in self.hospitals.sites if site.name == self.site
            )
        epochs = federation.rounds * federation.local_epochs if self.arm == "federated" else study.centralized_epochs
        return epochs * len(self.hospitals.pooled("train"))


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


def units_of(variant: Variant) -> Iterator[Unit]:
    """Yield the trainings of a variant, in the order of repeats, folds and arms."""
    study = variant.plan.study
    for repeat in range(study.repeats if study.folds else 1):
        for fold in range(study.folds) if study.folds else [variant.plan.data.fold]:
            plan = plan_of_fold(variant.plan, repeat, fold)
            for arm in study.arm_names:
                sites = [site.name for site in variant.hospitals.sites] if arm == "local" else [""]
                for site in sites:
                    yield Unit(arm, plan.changed(FROM_SCRATCH) if arm == "scratch" else plan, repeat, fold, site)


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
    for changes, strategy, partition, count, fault in itertools.product(
        families, strategies, partitions, counts, faults
    ):
        # The sites that the data name are as many as they are.
        sites = 0 if partition == "natural" and study.site_counts else count
        variant = Variant(
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
        variants.setdefault(variant.name, variant)
    return list(variants.values()), missing


def _families(plan: TrainingPlan) -> tuple[list[dict[str, Scalar]], dict[str, str]]:
    """Return the plan's changes for every family that can be trained, and the reasons of the others."""
    names = plan.study.swept("models") or (plan.model.family,)
    found: list[dict[str, Scalar]] = []
    missing: dict[str, str] = {}
    for name in names:
        changes: dict[str, Scalar] = {"model.family": name}
        if name != plan.model.family and plan.model.freeze not in ("none", "early", "all"):
            changes["model.freeze"] = "early"  # the plan's stage is another family's
        try:
            find_weights(FAMILIES[name], plan.model.weights)
        except InputError as error:
            if plan.study.missing_weights == "report":
                missing[name] = str(error)
                continue
            changes |= FROM_SCRATCH
        found.append(changes)
    if not found:
        raise InputError("; ".join(missing.values()))
    return found, missing
