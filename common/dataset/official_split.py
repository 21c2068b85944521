"""The split that a data set brings, in a column or in parts of an archive: used where the plan asks for it.

A published result is of such a split, and only a result on the same one can stand beside it. It is taken as it is, also
where it parts a patient; how often it does is counted and said.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence

from common.dataset.records import Dataset, ImageRecord, by_name
from common.dataset.split_names import SplitName
from common.dataset.splits import Split, draw_validation, split_records
from common.errors import InputError
from common.plan.groups import DataPlan
from common.system.wording import plural

_TITLES: dict[SplitName, str] = {"train": "training", "validation": "validation", "test": "test"}


def split_as_planned(where: str, records: Sequence[ImageRecord], data: DataPlan, seed: int) -> Split:
    """Split one hospital's images as the plan's `data` says.

    Parameters
    ----------
    where : str
        What errors call the hospital.
    records : sequence of ImageRecord, in any order
    data : DataPlan
        `split`, and the keys that say how rarefed draws its own.
    seed : int

    Raises
    ------
    InputError
        There are no images; or, of an official split, none to train on.
    """
    if data.split == "official":
        return official_split(where, records, data.validation_fraction, seed)
    return split_records(
        records,
        test_fraction=data.test_fraction,
        validation_fraction=data.validation_fraction,
        fold=data.fold,
        seed=seed,
    )


def official_split(where: str, records: Sequence[ImageRecord], validation_fraction: float, seed: int) -> Split:
    """Split one hospital's images by the parts that they name.

    Without validation images of its own, the hospital draws whole patients for them out of its training images, as
    `split_records` does. With a fraction of 0 nobody is held back, and what is named validation is trained on.

    Raises
    ------
    InputError
        There is no training image.
    """
    parts: defaultdict[SplitName | None, list[ImageRecord]] = defaultdict(list)
    for record in sorted(records, key=by_name):
        parts[record.part].append(record)
    train, validation = parts["train"], parts["validation"]
    if not validation_fraction:
        train, validation = sorted([*train, *validation], key=by_name), []
    if not train:
        raise InputError(
            f"{where}: none of its {plural(len(records), 'image')} is for training in the split that the data bring; "
            "take fewer sites, or data.split=own"
        )
    if not validation:
        drawn = draw_validation(train, validation_fraction, seed)
        train, validation = (
            [record for record in train if record.patient not in drawn],
            [record for record in train if record.patient in drawn],
        )
    return Split(tuple(train), tuple(validation), tuple(parts["test"]))


def check_official_split(dataset: Dataset, data: DataPlan) -> None:
    """Raise `InputError` if the plan asks for a split that the data do not bring."""
    if data.split == "official" and dataset.split_source is None:
        raise InputError(
            f"data.split = official: {dataset.name} brings no split; name each image's part (train, validation, test) "
            "in a column split of manifest.csv, or take data.split=own"
        )


def describe_official_split(dataset: Dataset, data: DataPlan) -> list[str]:
    """Return what there is to tell of a split that the data bring: its sizes, whether it is used, what it parts."""
    if dataset.split_source is None:
        return []
    counts = Counter(record.part for record in dataset.records)
    sizes = ", ".join(f"{counts[part]} {title}" for part, title in _TITLES.items() if counts[part])
    split = f"{dataset.split_source}: {sizes} images"
    if data.split == "own":
        return [f"the data bring a split ({split}) that is not used; data.split=official tests on it"]
    told = f"split as the data say ({split})"
    if not data.validation_fraction:
        told += ", without holding anyone back for validation" if counts["validation"] else ""
    elif not counts["validation"]:
        told += ", with validation patients drawn from its training images"
    return [told, *_tell_parted(dataset.records)]


def _tell_parted(records: Sequence[ImageRecord]) -> list[str]:
    """Count the patients and images that a split has in several parts."""
    parts: defaultdict[str, set[SplitName | None]] = defaultdict(set)
    for record in records:
        parts[record.patient].add(record.part)
    parted = {patient for patient, those in parts.items() if len(those) > 1}
    if not parted:
        return []
    others = {record.sha256 for record in records if record.part != "test"}
    tested = [record for record in records if record.part == "test"]
    leaked = [record for record in tested if record.patient in parted]
    told = f"{plural(len(parted), 'patient')} in more than one part of that split"
    if leaked:
        copies = sum(record.sha256 in others for record in leaked)
        told += (
            f", with {len(leaked)} of its {plural(len(tested), 'test image')} ({copies} identical to an image of "
            "another part): what is tested on them is too good"
        )
    return [told]
