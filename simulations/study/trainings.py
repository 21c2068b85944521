"""The units of a study: the single trainings that it consists of."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.metadata import version

from common.models.pretrained_weights import find_weights
from common.plan.families import FAMILIES
from common.plan.training_plan import TrainingPlan
from simulations.sites.consortium import SimulatedConsortium, load_consortium
from simulations.study.arms import ARMS, FEDERATED
from simulations.study.variants import Variant, plan_of_fold


@dataclass(frozen=True)
class Unit:
    """One training whose outcome is kept: an arm on one fold of one repeat, or one hospital's part of the local arm.

    Attributes
    ----------
    arm : str
        Key of `simulations.study.arms.ARMS`.
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
    def consortium(self) -> SimulatedConsortium:
        """The sites with this fold's split."""
        return load_consortium(self.plan)

    @cached_property
    def key(self) -> str:
        """Digest of everything that the outcome depends on; units with equal keys are trained once.

        Device, number format, processor and libraries are part of it: their last bits differ, and a study that was
        resumed on another machine would mix them; so is the content of the weights, which a file of the same name may
        have changed.
        """
        from common.training.computing_environment import computing_environment  # which loads PyTorch

        plan = self.plan.model_dump()
        # The sites and their splits are in the digest of the consortium; of the rest of the study only faults change a
        # training.
        study = plan.pop("study")
        if self.arm == FEDERATED and (study["dropout"] or study["hostile_sites"]):
            plan["faults"] = {name: study[name] for name in ("seed", "dropout", "hostile_sites", "hostile")}
        if self.arm != FEDERATED:
            del plan["exchange"], plan["privacy"]
            plan["federation"] = {"select": plan["federation"]["select"]}
            plan["alone"] = {name: study[name] for name in ("centralized_epochs", "centralized_batch_size")}
        environment = computing_environment(self.plan)
        weights = _digest_of_weights(self.plan.model.family, self.plan.model.weights)
        identity = [version("rarefed"), environment, weights, self.arm, self.site, self.consortium.digest, plan]
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:20]

    @property
    def title(self) -> str:
        """Its name in lines of progress."""
        where = f" {self.site}" if self.site else ""
        if not self.plan.study.folds:
            return f"{self.arm}{where}"
        repeat = f"repeat {self.repeat + 1} " if self.plan.study.repeats > 1 else ""
        return f"{repeat}fold {self.fold + 1}/{self.plan.study.folds} {self.arm}{where}"

    @property
    def samples_seen(self) -> int:
        """How many training images the training is going to show to the network, each once per epoch."""
        epochs = ARMS[self.arm].epochs
        assert epochs is not None
        sites = [site for site in self.consortium.sites if self.site in ("", site.name)]
        return epochs(self.plan) * sum(len(site.split.train) for site in sites)


@cache
def _digest_of_weights(family: str, wanted: str) -> str | None:
    weights = find_weights(FAMILIES[family], wanted)
    return weights.sha256 if weights else None


def units_of(variant: Variant) -> Iterator[Unit]:
    """Yield the trainings of a variant, in the order of repeats, folds and arms."""
    study = variant.plan.study
    for repeat in range(study.repeats if study.folds else 1):
        for fold in range(study.folds) if study.folds else [variant.plan.data.fold]:
            plan = plan_of_fold(variant.plan, repeat, fold)
            for arm in (ARMS[key] for key in study.arm_names):
                sites = [site.name for site in variant.consortium.sites] if arm.one_model_per_site else [""]
                for site in sites:
                    yield Unit(arm.key, plan.changed(arm.plan_changes), repeat, fold, site)
