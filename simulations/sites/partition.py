"""Simulated hospitals: one data set parted by the sites that it names, or at random, but never within a patient.

Chance comes from hashes and from Python's `random.random`, whose numbers are promised to stay the same: NumPy may
change those of its generators (NEP 19), and a study must find its hospitals again after an upgrade.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.dataset.records import ImageRecord, group_by_patient
from common.errors import InputError
from common.plan.study import StudyPlan

_DEFAULT_SITES = 4
_DRAWS = 200

Sites = dict[str, tuple[ImageRecord, ...]]
# (classes, sites, alpha, chance) -> shares of shape (classes, sites), rows adding up to 1.
_Shares = Callable[[int, int, float, random.Random], NDArray[np.float64]]


@dataclass(frozen=True)
class _Patient:
    records: tuple[ImageRecord, ...]

    @property
    def label(self) -> int:
        """The class that most of the patient's images have; the lower one of two equals."""
        labels = [record.label for record in self.records]
        return min(set(labels), key=lambda label: (-labels.count(label), label))


def partition(records: Sequence[ImageRecord], study: StudyPlan) -> tuple[str, Sites]:
    """Part a data set into hospitals.

    Parameters
    ----------
    records : sequence of ImageRecord
        All images.
    study : StudyPlan
        `partition`, `sites`, `alpha` and `seed` are read; equal ones give equal sites.

    Returns
    -------
    str
        The kind of partition that was made.
    dict of str to tuple of ImageRecord
        The images by site name, in the order of the names.

    Raises
    ------
    InputError
        If the data name no sites but natural ones are asked for, or there are more sites than patients.
    """
    named = {record.site for record in records if record.site is not None}
    kind = study.partition
    if kind == "auto":
        kind = "natural" if named and not study.sites else "dirichlet"
    if kind == "natural":
        return kind, _natural(records, named, study.sites)
    patients = [_Patient(images) for images in group_by_patient(records).values()]
    count = study.sites or _DEFAULT_SITES
    if count > len(patients):
        raise InputError(
            f"study.sites = {count}, but there are only {len(patients)} patients: a site needs at least one"
        )
    shares = {"iid": _iid, "dirichlet": _dirichlet, "quantity-skew": _quantity_skew}[kind]
    dealt = _deal(patients, count, shares, study.alpha, study.seed)
    width = len(str(count))
    return kind, {
        f"site-{number:0{width}}": tuple(record for patient in group for record in patient.records)
        for number, group in enumerate(dealt, start=1)
    }


def _natural(records: Sequence[ImageRecord], named: set[str], wanted: int) -> Sites:
    if not named or any(record.site is None for record in records):
        raise InputError(
            "study.partition = natural needs a site for every image: add a site column to the manifest, name it in "
            "data.site_column, or take study.partition = dirichlet"
        )
    if wanted and wanted != len(named):
        raise InputError(
            f"study.sites = {wanted}, but the data name {len(named)} sites ({', '.join(sorted(named))}): "
            "leave study.sites out, or take study.partition = dirichlet"
        )
    return {site: tuple(record for record in records if record.site == site) for site in sorted(named)}


def _deal(patients: list[_Patient], count: int, shares: _Shares, alpha: float, seed: int) -> list[list[_Patient]]:
    """Deal patients out class by class, by the shares drawn; draw again until every site can be split in three."""
    least = min(3, len(patients) // count)
    classes = sorted({patient.label for patient in patients})
    members = [
        sorted((one for one in patients if one.label == label), key=lambda one: _draw(seed, one)) for label in classes
    ]
    chance = random.Random(seed)
    sizes = np.array([[len(group)] for group in members])
    for _ in range(_DRAWS):
        # Rounding the cumulated shares keeps every patient and is off by at most one per site.
        bounds = np.rint(np.cumsum(shares(len(classes), count, alpha, chance), axis=1) * sizes).astype(int)
        bounds[:, -1] = sizes[:, 0]
        if np.diff(bounds, axis=1, prepend=0).sum(axis=0).min() >= least:
            break
    starts = np.concatenate([np.zeros((len(classes), 1), dtype=int), bounds], axis=1)
    groups = [
        [one for own, start in zip(members, starts, strict=True) for one in own[start[site] : start[site + 1]]]
        for site in range(count)
    ]
    # So many sites for so few patients that no draw suffices: the largest sites give patients to the smallest.
    while min(len(group) for group in groups) < least:
        max(groups, key=len).sort(key=lambda patient: patient.records[0].name)
        min(groups, key=len).append(max(groups, key=len).pop())
    return groups


def _draw(seed: int, patient: _Patient) -> bytes:
    """Draw a patient's place in the order of dealing, which depends on no other patient."""
    name = f"{seed}\0deal\0{patient.records[0].patient}"
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()


def _iid(classes: int, sites: int, alpha: float, chance: random.Random) -> NDArray[np.float64]:
    return np.full((classes, sites), 1 / sites)


def _dirichlet(classes: int, sites: int, alpha: float, chance: random.Random) -> NDArray[np.float64]:
    """Unequal class shares and sizes (Hsu et al. 2019, Measuring the effects of non-identical data distribution)."""
    return np.stack([_draw_dirichlet(sites, alpha, chance) for _ in range(classes)])


def _quantity_skew(classes: int, sites: int, alpha: float, chance: random.Random) -> NDArray[np.float64]:
    """Unequal sizes with equal class shares (Li et al. 2022, Federated learning on non-IID data silos, section 3.3)."""
    return np.tile(_draw_dirichlet(sites, alpha, chance), (classes, 1))


def _draw_dirichlet(sites: int, alpha: float, chance: random.Random) -> NDArray[np.float64]:
    """Draw shares from a symmetric Dirichlet distribution: gamma deviates by inversion, divided by their sum."""
    from scipy.special import gammaincinv  # which takes a while to import

    deviates = gammaincinv(alpha, [chance.random() for _ in range(sites)])
    if deviates.sum() == 0:  # an alpha so small that all deviates round to 0: one site gets everything
        deviates[chance.randrange(sites)] = 1.0
    shares: NDArray[np.float64] = deviates / deviates.sum()
    return shares
