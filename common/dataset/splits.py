"""Training, validation and test images of one hospital: stratified by class, each patient in one set only.

scikit-learn's `StratifiedGroupKFold` spreads classes over folds as evenly as this module does (compared on real and
drawn hospitals). It is not used because it refuses a hospital with fewer patients than folds, or with fewer images than
folds in every class, warns about each rare class, and returns other folds when the images come in another order or
NumPy changes its random stream. Here the patients are assigned, in an order drawn from a hash, each to the fold
that holds least of its class: this has no minimum, and gives the same folds on any machine.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from common.dataset.records import ImageRecord, by_name, group_by_patient
from common.errors import InputError
from common.plan.groups import fold_count


@dataclass(frozen=True)
class Split:
    """Three sets of images that share no patient; each sorted by name."""

    train: tuple[ImageRecord, ...]
    validation: tuple[ImageRecord, ...]
    test: tuple[ImageRecord, ...]


class _Patient(NamedTuple):
    name: str
    counts: Counter[int]  # images by class
    size: int


def split_records(
    records: Sequence[ImageRecord],
    *,
    test_fraction: float = 0.2,
    validation_fraction: float = 0.15,
    fold: int = 0,
    seed: int,
) -> Split:
    """Split one hospital's images for one fold of a cross-validation.

    The folds 0, 1, ... k-1 with k = `fold_count(test_fraction)` test every image exactly once. Every class is spread
    over them as evenly as whole patients allow; a class with at least k patients, each of one class only, is in every
    fold. The patients that a fold leaves are split again: validation gets `validation_fraction` of *their* images of
    each class, at least one patient of each class that has two or more, and never the last patient of a class.

    A hospital too small for that gets less, in this order: with fewer patients than k, some folds have no test images;
    with fewer than three patients left after the test, there is no validation; the only patient of a hospital is
    trained on in every fold, and never tested. So there are always training images.

    Parameters
    ----------
    records : sequence of ImageRecord, in any order
    test_fraction : float
        Above 0, at most 0.5.
    validation_fraction : float
        0 (no validation) to 0.5.
    fold : int
        0 to k-1.
    seed : int

    Returns
    -------
    Split
        Disjoint, and together all records.

    Raises
    ------
    InputError
        A fraction or the fold is out of range, or there are no records.
    """
    _check_ranges(test_fraction, validation_fraction, fold)
    grouped = group_by_patient(records)
    patients = _patients(grouped)
    fold_of = _assign_folds(patients, fold_count(test_fraction), seed)
    test = {name for name, its_fold in fold_of.items() if its_fold == fold and len(patients) > 1}
    rest = [patient for patient in patients if patient.name not in test]
    validation = _choose_validation(rest, validation_fraction, seed)
    train = [patient.name for patient in rest if patient.name not in validation]

    def images_of(chosen: Iterable[str]) -> tuple[ImageRecord, ...]:
        return tuple(sorted((record for name in chosen for record in grouped[name]), key=by_name))

    return Split(images_of(train), images_of(validation), images_of(test))


def draw_validation(records: Sequence[ImageRecord], fraction: float, seed: int) -> set[str]:
    """Return the patients that a validation set of some training images takes, as `split_records` chooses them."""
    return _choose_validation(_patients(group_by_patient(records)), fraction, seed)


def _patients(grouped: Mapping[str, Sequence[ImageRecord]]) -> list[_Patient]:
    if not grouped:
        raise InputError("there are no images to split; check the data with the hospital's preflight")
    return [_Patient(name, Counter(record.label for record in images), len(images)) for name, images in grouped.items()]


def _check_ranges(test_fraction: float, validation_fraction: float, fold: int) -> None:
    if not 0 < test_fraction <= 0.5:
        raise InputError(f"test fraction {test_fraction}: must be above 0 and at most 0.5")
    if not 0 <= validation_fraction <= 0.5:
        raise InputError(f"validation fraction {validation_fraction}: must be between 0 and 0.5")
    folds = fold_count(test_fraction)
    if not 0 <= fold < folds:
        raise InputError(f"fold {fold}: must be between 0 and {folds - 1} for a test fraction of {test_fraction}")


def _draw(seed: int, purpose: str, name: str) -> bytes:
    """Draw a number for a patient that depends on no other patient, machine or library version."""
    return hashlib.sha256(f"{seed}\0{purpose}\0{name}".encode("utf-8", "surrogatepass")).digest()


def _totals(patients: Iterable[_Patient]) -> Counter[int]:
    totals: Counter[int] = Counter()
    for patient in patients:
        totals.update(patient.counts)
    return totals


def _in_order(patients: Iterable[_Patient], totals: Mapping[int, int], seed: int, purpose: str) -> list[_Patient]:
    """Sort patients: rarest class first, within it those with most images first, the rest by chance.

    Large patients come first, since small ones can still even out the folds after them; class by class, so that the
    first patients of a class fill the folds that the class before left one short.
    """

    def key(patient: _Patient) -> tuple[int, int, int, bytes]:
        rarest = min(patient.counts, key=lambda label: (totals[label], label))
        return totals[rarest], rarest, -patient.size, _draw(seed, purpose, patient.name)

    return sorted(patients, key=key)


def _assign_folds(patients: Sequence[_Patient], folds: int, seed: int) -> dict[str, int]:
    """Assign each patient to the fold that it makes least uneven."""
    totals = _totals(patients)
    filled: list[Counter[int]] = [Counter() for _ in range(folds)]
    sizes = [0] * folds
    # without chance, fold 0 would be the larger one at every hospital
    everyone = "\0".join(patient.name for patient in patients)
    chance = [_draw(seed, f"fold {index}", everyone) for index in range(folds)]
    fold_of = {}
    for patient in _in_order(patients, totals, seed, "test"):
        # how much the sum of squared class shares would grow; rounded, so that folds that are equal stay equal
        costs = [round(sum((2 * held[c] + n) * n / totals[c] for c, n in patient.counts.items()), 9) for held in filled]
        best = min(range(folds), key=lambda index: (costs[index], sizes[index], chance[index]))
        fold_of[patient.name] = best
        filled[best].update(patient.counts)
        sizes[best] += patient.size
    return fold_of


def _choose_validation(patients: Sequence[_Patient], fraction: float, seed: int) -> set[str]:
    """Choose the patients of the validation set from those that are not tested."""
    if fraction == 0 or len(patients) < 3:
        return set()
    totals = _totals(patients)
    left = Counter(label for patient in patients for label in patient.counts)  # patients to train on, by class
    wanted = {label: max(1, round(fraction * count)) for label, count in totals.items() if left[label] > 1}
    held: Counter[int] = Counter()
    chosen: set[str] = set()

    def take(patient: _Patient) -> None:
        chosen.add(patient.name)
        held.update(patient.counts)
        left.subtract(patient.counts.keys())

    def spared(patient: _Patient) -> bool:
        return patient.name not in chosen and all(left[label] > 1 for label in patient.counts)

    def gain(patient: _Patient) -> float:
        """Return by how much the squared distance to the wanted counts shrinks, each class weighed by its rarity."""
        return sum(n * (2 * (wanted[c] - held[c]) - n) / wanted[c] for c, n in patient.counts.items())

    ordered = sorted(patients, key=lambda patient: _draw(seed, "validation", patient.name))
    for patient in ordered:
        if spared(patient) and gain(patient) > 0:
            take(patient)
    for label in sorted(wanted, key=lambda label: (totals[label], label)):
        # every patient of this class was too large for its share; better the smallest of them than none
        candidates = [patient for patient in ordered if label in patient.counts and spared(patient)]
        if held[label] == 0 and candidates:
            take(min(candidates, key=lambda patient: patient.size))
    return chosen
