"""Looks at a plan's machine, images and folds without training anything: what `rarefed-sim check` tells."""

from dataclasses import dataclass
from pathlib import Path

from client.preflight.checks import IMAGE_CHECKS
from client.preflight.findings import Finding, Report, failed, passed
from client.preflight.labels import check_enough_images
from client.preflight.survey import Advance, Survey, survey_images
from common.dataset.settings import DatasetSettings
from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from common.system.folders import cache_folder
from common.system.wording import plural
from simulations.preflight.findings import require_fit
from simulations.preflight.fold_checks import check_folds
from simulations.preflight.machine import check_cache_folder, check_machine
from simulations.preflight.plan_check import check_plan
from simulations.preflight.resolution import check_resolution
from simulations.preflight.site_checks import check_classes_of_sites, check_sites_are_split
from simulations.sites.consortium import SimulatedConsortium


@dataclass(frozen=True)
class Inspection:
    """What was found before any training.

    Attributes
    ----------
    report : Report
        All findings: of the machine, of the plan, of the sites, of the images.
    survey : Survey
        What was seen of each image.
    consortium : SimulatedConsortium or None
        The data set as a run would read and deal it out; None if it would refuse to.
    """

    report: Report
    survey: Survey
    consortium: SimulatedConsortium | None


def inspect_plan(plan: TrainingPlan, advance: Advance | None = None) -> Inspection:
    """Look at all that a run of a plan depends on.

    Parameters
    ----------
    plan : TrainingPlan
        With absolute paths.
    advance : callable, optional
        Called after each image with the number of images done, and of all images.

    Returns
    -------
    Inspection

    Raises
    ------
    InputError
        If no images can be listed.
    """
    survey = survey_images(_place_of(plan), DatasetSettings.of(plan.data, plan.data.class_names), advance=advance)
    consortium, findings = _deal_out(plan)
    # That rule is a hospital's.
    images = [check(survey) for check in IMAGE_CHECKS if check is not check_enough_images]
    # What keeps a plan from being dealt out is said once.
    images = [image for image in images if not any(finding.found.startswith(image.found) for finding in findings)]
    name = consortium.dataset.name if consortium else survey.path.name
    every = (*findings, *images, check_resolution(survey, plan), *check_machine(plan))
    return Inspection(Report(name, every), survey, consortium)


def _place_of(plan: TrainingPlan) -> Path:
    if plan.data.path:
        return Path(plan.data.path)
    require_fit([check_cache_folder(plan)])
    from simulations.phantom.data_set import phantom_folder  # which draws with SciPy

    return phantom_folder(cache_folder())


def _deal_out(plan: TrainingPlan) -> tuple[SimulatedConsortium | None, list[Finding]]:
    """Read, deal out and split the data as a run would, and say what it would refuse."""
    try:
        checked = check_plan(plan)
    except InputError as error:
        return None, [failed("plan", str(error), "a run would refuse this for the same reason")]
    consortium = checked.folds[0].consortium
    folds = f"{plural(plan.study.repeats, 'repeat')} of {plan.study.folds} folds" if plan.study.folds else "one split"
    found = f"{plural(checked.sites, 'site')} ({consortium.partition}), {folds}, {plan.model.family} with weights"
    if plan.model.weights == "none":
        found += " drawn at random"
    return consortium, [
        passed("plan", found),
        check_folds(checked.folds),
        check_sites_are_split(consortium, plan.data),
        check_classes_of_sites(consortium),
    ]
