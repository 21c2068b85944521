"""The hospital as a site: its own images, read by its own settings, split as the plan says."""

from functools import lru_cache
from pathlib import Path

from client.rules.hospital_file import HospitalFile
from client.rules.policy import HospitalFailure, check_images
from client.training.site import Site
from common.dataset.loading import load_dataset
from common.dataset.official_split import check_official_split, split_as_planned
from common.dataset.records import Dataset
from common.dataset.settings import DatasetSettings
from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from common.protocol.refusals import Failure
from common.training.workbench import workbench

# The only values of model.weights that a plan may choose; the path of a file is for this hospital to choose.
_WEIGHTS_BY_NAME = ("auto", "none")


def local_plan(plan: TrainingPlan, hospital: HospitalFile) -> TrainingPlan:
    """Return the plan as this hospital carries it out: with its own paths, columns and device.

    So no message can make a hospital read another file, or run a pattern over its file names.
    """
    by_name = plan.model.weights if plan.model.weights in _WEIGHTS_BY_NAME else "auto"
    data = hospital.data
    return plan.changed(
        {
            "model.weights": hospital.weights or by_name,
            "data.path": str(data.path),
            "data.path_column": data.path_column,
            "data.label_column": data.label_column,
            "data.patient_column": data.patient_column,
            "data.split_column": data.split_column,
            "data.patient_pattern": data.patient_pattern,
            "data.positive": data.positive,
            "training.device": hospital.limits.device,
        }
    )


def local_site(plan: TrainingPlan, hospital: HospitalFile) -> Site:
    """Return this hospital's images, split.

    Parameters
    ----------
    plan : TrainingPlan
        From `local_plan`.
    hospital : HospitalFile
        This hospital's file.

    Returns
    -------
    Site

    Raises
    ------
    HospitalFailure
        If the images or the pretrained weights cannot be used.
    Refusal
        If there are too few images to train on.
    """
    try:
        dataset = _dataset(hospital.data.path, plan.data.class_names, hospital)
        check_official_split(dataset, plan.data)
        split = split_as_planned(hospital.name, dataset.records, plan.data, plan.training.seed)
    except InputError as error:
        raise HospitalFailure(Failure.DATA, str(error)) from error
    check_images(hospital.rules, len(split.train))
    try:
        workbench(plan, len(dataset.classes))
    except InputError as error:
        raise HospitalFailure(Failure.WEIGHTS, str(error)) from error
    return Site(hospital.name, dataset.classes, split)


@lru_cache(maxsize=1)
def _dataset(path: Path, classes: tuple[str, ...], hospital: HospitalFile) -> Dataset:
    return load_dataset(path, DatasetSettings.of(hospital.data, classes))
