"""The hospital as a site: its own images, read by its own settings, split as the plan says."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from client.rules.hospital_file import HospitalFile
from client.rules.policy import HospitalFailure, check_classes, check_images, check_patients
from client.training.site import Site
from common.dataset.loading import load_dataset
from common.dataset.official_split import check_official_split, split_as_planned
from common.dataset.records import Dataset, ImageRecord, by_name
from common.dataset.settings import DatasetSettings
from common.dataset.splits import Split
from common.errors import InputError
from common.plan.training_plan import TrainingPlan
from common.protocol.refusals import Failure
from common.training.workbench import workbench

# The only values of model.weights that a plan may choose; the path of a file is for this hospital to choose.
_WEIGHTS_BY_NAME = ("auto", "none")


def local_plan(plan: TrainingPlan, hospital: HospitalFile) -> TrainingPlan:
    """Return the plan as this hospital carries it out: with its own paths, columns and device.

    So no message can make a hospital read another file, run a pattern over its file names, or draw its split anew.
    """
    by_name = plan.model.weights if plan.model.weights in _WEIGHTS_BY_NAME else "auto"
    data = hospital.data
    # Whether patients are held back is for the plan to say; who and how many, for this hospital.
    held_back = data.validation_fraction if plan.data.validation_fraction else 0.0
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
            "data.split": data.split,
            "data.test_fraction": data.test_fraction,
            "data.validation_fraction": held_back,
            "data.fold": data.fold,
            "training.device": hospital.limits.device,
        }
    )


def local_site(plan: TrainingPlan, hospital: HospitalFile, seed: int) -> Site:
    """Return this hospital's images, split.

    Parameters
    ----------
    plan : TrainingPlan
        From `local_plan`.
    hospital : HospitalFile
        This hospital's file.
    seed : int
        From `split_seed`.

    Returns
    -------
    Site

    Raises
    ------
    HospitalFailure
        If the images or the pretrained weights cannot be used.
    Refusal
        If there are too few images or patients to train on, or the plan names a class that this hospital does not know.
    """
    try:
        dataset = _dataset(hospital.data.path, plan.data.class_names, hospital)
        check_official_split(dataset, plan.data)
        split = split_as_planned(hospital.name, dataset.records, plan.data, seed)
    except InputError as error:
        raise HospitalFailure(Failure.DATA, str(error)) from error
    split = _scored_by_many(split, hospital.rules.suppress_below)
    check_classes(hospital.rules, dataset.classes, frozenset(dataset.classes[each.label] for each in dataset.records))
    check_images(hospital.rules, len(split.train))
    check_patients(hospital.rules, len({record.patient for record in split.train}))
    try:
        workbench(plan, len(dataset.classes))
    except InputError as error:
        raise HospitalFailure(Failure.WEIGHTS, str(error)) from error
    return Site(hospital.name, dataset.classes, split)


def _scored_by_many(split: Split, least: int) -> Split:
    """Return a split that scores no class by few patients: those are trained on instead.

    A score of one or two patients would be theirs. They leave the counts too, from which it could be told otherwise.
    """
    validation, test = _of_many(split.validation, least), _of_many(split.test, least)
    scored = {record.patient for record in (*validation, *test)}
    few = (record for record in (*split.validation, *split.test) if record.patient not in scored)
    return Split(tuple(sorted((*split.train, *few), key=by_name)), validation, test)


def _of_many(records: Sequence[ImageRecord], least: int) -> tuple[ImageRecord, ...]:
    """Return the images of the patients none of whose classes has fewer than `least` patients among them."""
    patients: defaultdict[int, set[str]] = defaultdict(set)
    for record in records:
        patients[record.label].add(record.patient)
    few = {patient for those in patients.values() if len(those) < least for patient in those}
    # Without a patient of two classes, the other class may have too few.
    return _of_many([record for record in records if record.patient not in few], least) if few else tuple(records)


@lru_cache(maxsize=1)
def _dataset(path: Path, classes: tuple[str, ...], hospital: HospitalFile) -> Dataset:
    return load_dataset(path, DatasetSettings.of(hospital.data, classes))
