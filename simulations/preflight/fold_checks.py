"""Can every fold of a study be split, and does each test all classes?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from client.preflight.findings import Finding, passed, warn
from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from common.system.wording import first_few, plural
from simulations.sites.consortium import SimulatedConsortium, load_consortium
from simulations.study.variants import Variant, plan_of_fold

_SPLIT_BY = ("partition", "sites", "alpha", "seed")


@dataclass(frozen=True)
class Fold:
    """One split of one variant.

    Attributes
    ----------
    title : str
        Its name in lines, such as `fold 2 of repeat 1`.
    consortium : SimulatedConsortium
        The sites with this split.
    """

    title: str
    consortium: SimulatedConsortium


def split_every_fold(variants: Sequence[Variant]) -> list[Fold]:
    """Split the images for each fold of each repeat of a study; splits that several variants share are made once.

    Raises
    ------
    InputError
        If a fold cannot be split; the message names it, and the key of the plan to change.
    """
    folds: dict[tuple[object, ...], Fold] = {}
    for variant in variants:
        for title, plan in _plans(variant.plan):
            study = plan.study
            # Family, strategy and faults change no split.
            key = (
                plan.data.fold,
                plan.training.seed,
                plan.model.batch_norm,
                *(getattr(study, name) for name in _SPLIT_BY),
            )
            if key in folds:
                continue
            try:
                folds[key] = Fold(title, load_consortium(plan))
                _check_batches(plan, folds[key].consortium)
            except InputError as error:
                if not study.folds:
                    raise
                raise InputError(f"study.folds = {study.folds}: {title}: {error}; or take fewer folds") from error
    return list(folds.values())


def _check_batches(plan: TrainingPlan, consortium: SimulatedConsortium) -> None:
    """Refuse a hospital that would have to train BatchNorm on a single image, which has no variance."""
    if plan.model.batch_norm != "train" or not {"federated", "local"} & set(plan.study.arm_names):
        return
    for site in consortium.sites:
        if len(site.split.train) == 1:
            raise InputError(
                f"{site.name} trains on one image, which BatchNorm cannot: set model.batch_norm=frozen, or take fewer "
                "sites"
            )


def check_folds(folds: Sequence[Fold]) -> Finding:
    """Find the folds whose training or test images lack a class."""
    lacking = []
    for fold in folds:
        classes = fold.consortium.dataset.classes
        for name, split in (("training", "train"), ("test", "test")):
            present = {record.label for record in fold.consortium.pooled(split)}
            if missing := [each for label, each in enumerate(classes) if label not in present]:
                lacking.append(f"{fold.title} has no {name} image of {first_few(missing)}")
    if lacking:
        mend = "take fewer folds or sites, or more images: rates of a class that is not tested are unknown"
        return warn("folds", first_few(lacking), mend)
    return passed("folds", f"{plural(len(folds), 'split')}, each with training and test images of every class")


def _plans(plan: TrainingPlan) -> Iterator[tuple[str, TrainingPlan]]:
    if not plan.study.folds:
        yield "the split", plan
        return
    for repeat in range(plan.study.repeats):
        for fold in range(plan.study.folds):
            title = f"fold {fold + 1}" + (f" of repeat {repeat + 1}" if plan.study.repeats > 1 else "")
            yield title, plan_of_fold(plan, repeat, fold)
