"""Describes a study's images, sites and variants in the lines with which its log begins."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from common.dataset.noise_filter import describe_noise_filter
from common.plan.selection import explain_no_choice
from common.plan.training_plan import TrainingPlan
from simulations.study.fault_descriptions import describe_faults
from simulations.study.variants import Variant


def describe_study(variants: Sequence[Variant], missing: Mapping[str, str]) -> list[str]:
    """Return what is about to be trained on, in a few lines.

    Parameters
    ----------
    variants : sequence of Variant
        The plan's own choice first.
    missing : mapping of str to str
        Families without weights, and why.
    """
    lines = describe_variant(variants[0])
    lines += [f"{family} left out: {reason}" for family, reason in missing.items()]
    if len(variants) > 1:
        lines.append(f"variants: {', '.join(variant.name for variant in variants)}")
    return lines + _tell_filter_of_recipes(variants)


def _tell_filter_of_recipes(variants: Sequence[Variant]) -> list[str]:
    """Say what `auto` chose for recipes that ask for it, where the plan that they are compared with does not."""
    plan, *others = variants
    if plan.plan.data.denoise == "auto":
        return []
    recipes: defaultdict[str, list[str]] = defaultdict(list)
    for variant in others:
        for told in describe_noise_filter(variant.consortium.dataset.records, variant.plan.data):
            if variant.recipe not in recipes[told]:
                recipes[told].append(variant.recipe)
    return [f"{', '.join(names)}: {told}" for told, names in recipes.items()]


def describe_variant(variant: Variant) -> list[str]:
    """Return what images and sites a variant has."""
    consortium, plan = variant.consortium, variant.plan
    dataset = consortium.dataset
    labels = [record.label for record in dataset.records]
    counts = ", ".join(f"{labels.count(index)} {name}" for index, name in enumerate(dataset.classes))
    if len(dataset.classes) == 2:
        counts += f"; {dataset.classes[1]} is {'GUESSED to be ' if dataset.class_guess else ''}the disease"
    patients = len({record.patient for record in dataset.records})
    lines = [
        f"{dataset.name}{' (synthetic)' if consortium.synthetic else ''}: {len(labels)} images ({counts}) of "
        f"{patients} patients ({dataset.patient_source}), {len(consortium.sites)} sites "
        f"({consortium.partition}), {plan.model.family}",
        *dataset.notes,
    ]
    for image in dataset.excluded[:10]:
        lines.append(f"left out: {image.name}: {image.reason}")
    if len(dataset.excluded) > 10:
        lines.append(f"left out: {len(dataset.excluded) - 10} more images; summary.json names them all")
    lines += consortium.plan_notes
    lines.append(describe_length(plan))
    lines += explain_no_choice(plan.federation.select, plan.data.validation_fraction)
    lines += describe_faults(plan.study.model_dump(), len(consortium.sites))
    for site in consortium.sites:
        present = {record.label for record in (*site.split.train, *site.split.validation, *site.split.test)}
        if len(present) == 1:
            lines.append(f"{site.name} has images of one class only ({dataset.classes[present.pop()]})")
    return lines


def describe_length(plan: TrainingPlan) -> str:
    """Return how long is trained, and on how many views of an image: what `--quick` and `--best` change."""
    federation, views = plan.federation, plan.augmentation
    seen = f"{views.views} views of each image" if views.views else "fresh views of the images in every epoch"
    return (
        f"training: {federation.rounds} rounds of {federation.local_epochs} epochs, without federation "
        f"{plan.study.centralized_epochs} epochs, {seen}, tested on the image and {views.tested} views"
    )
