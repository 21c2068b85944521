import hashlib
from itertools import pairwise

import numpy as np
import pytest

from common.dataset.image_source import ArraySource
from common.dataset.records import ImageRecord
from common.errors import InputError
from common.plan.study import StudyPlan
from simulations.sites.partition import Sites, partition

DRAWN = ["iid", "dirichlet", "quantity-skew"]


IMAGE = ArraySource(np.zeros((2, 2, 3), np.uint8))


def records(patients: int = 60, site: bool = False) -> list[ImageRecord]:
    """Return images of patients of whom every third has two; a third of the patients is of class 1."""
    found = []
    for patient in range(patients):
        for number in range(1 + (patient % 3 == 0)):
            where = ("b", "a")[patient % 2] if site else None
            name, label = f"{patient}-{number}", int(patient % 3 == 1)
            found.append(ImageRecord(name, label, f"p{patient}", where, "", IMAGE, grey=True))
    return found


def deal(kind: str = "auto", sites: int = 0, alpha: float = 1.0, seed: int = 1, named: bool = False) -> Sites:
    return partition(records(site=named), StudyPlan(partition=kind, sites=sites, alpha=alpha, seed=seed))[1]


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("sites", [1, 4, 13, 60])
def test_every_image_goes_to_one_site_and_no_patient_is_parted(kind: str, sites: int) -> None:
    dealt = deal(kind, sites)
    assert len(dealt) == sites
    names = [record.name for group in dealt.values() for record in group]
    assert sorted(names) == sorted(record.name for record in records())
    patients = [{record.patient for record in group} for group in dealt.values()]
    assert sum(map(len, patients)) == len(set().union(*patients)) == 60
    assert min(map(len, patients)) >= min(3, 60 // sites)


@pytest.mark.parametrize("kind", DRAWN)
def test_the_seed_decides(kind: str) -> None:
    assert deal(kind, 4) == deal(kind, 4)
    assert deal(kind, 4) != deal(kind, 4, seed=2)
    study = StudyPlan(partition=kind, sites=4)
    assert partition(list(reversed(records())), study)[1] == deal(kind, 4)


@pytest.mark.parametrize(
    ("kind", "digest"), [("iid", "245a20454242"), ("dirichlet", "1cb0c41c4fed"), ("quantity-skew", "0ba8c7e8690c")]
)
def test_a_study_finds_its_hospitals_again_after_an_upgrade(kind: str, digest: str) -> None:
    text = "|".join(",".join(record.name for record in group) for group in deal(kind, 4).values())
    assert hashlib.sha256(text.encode()).hexdigest()[:12] == digest


@pytest.mark.parametrize("kind", DRAWN)
def test_a_thousand_sites(kind: str) -> None:
    dealt = partition(records(3000), StudyPlan(partition=kind, sites=1000, alpha=0.5))[1]
    assert len(dealt) == 1000
    assert min(len({record.patient for record in group}) for group in dealt.values()) == 3


def share_of_sick(dealt: Sites) -> list[float]:
    return [float(np.mean([record.label for record in group])) for group in dealt.values()]


def test_each_kind_is_unequal_in_its_own_way() -> None:
    even = deal("iid", 4)
    assert np.ptp([len(group) for group in even.values()]) <= 4
    assert np.ptp(share_of_sick(even)) < 0.1
    skewed = deal("quantity-skew", 4, alpha=0.7)
    assert np.ptp([len(group) for group in skewed.values()]) > 15
    assert np.ptp(share_of_sick(skewed)) < 0.35
    spreads = [
        np.mean([np.ptp(share_of_sick(deal("dirichlet", 4, alpha, seed))) for seed in range(8)])
        for alpha in (0.3, 2.0, 100.0)
    ]
    assert all(more > less for more, less in pairwise(spreads))


def test_sites_that_the_data_name_are_taken_unless_a_number_is_asked_for() -> None:
    assert list(deal(named=True)) == ["a", "b"]
    assert list(deal(named=True, sites=3)) == ["site-1", "site-2", "site-3"]
    assert len(deal()) == 4
    assert list(deal("natural", named=True, sites=2)) == ["a", "b"]


@pytest.mark.parametrize(
    ("kind", "sites", "named", "said"),
    [
        ("dirichlet", 61, False, "study.sites = 61, but there are only 60 patients"),
        ("natural", 0, False, "needs a site for every image"),
        ("natural", 3, True, r"the data name 2 sites \(a, b\)"),
    ],
)
def test_what_cannot_be_dealt_is_said(kind: str, sites: int, named: bool, said: str) -> None:
    with pytest.raises(InputError, match=said):
        deal(kind, sites, named=named)
