"""A round of every family over every loader."""

from itertools import cycle, product
from pathlib import Path

import pytest

from common.plan.families import FAMILIES
from common.plan.training_plan import TrainingPlan
from tests.federation.data import LOADERS
from tests.federation.in_process import federate
from tests.federation.test_strategies import SMALL


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    base = tmp_path_factory.mktemp("battery")
    return {name: write(base / name) for name, write in LOADERS.items()}


def combinations() -> list[object]:
    """Every family and every loader in turn on every change; each with each other once in a while."""
    often = list(zip(FAMILIES, cycle(LOADERS), strict=False))
    seldom = [pytest.mark.slow, pytest.mark.exhaustive]
    return [pytest.param(*pair, marks=[] if pair in often else seldom) for pair in product(FAMILIES, LOADERS)]


@pytest.mark.parametrize(("family", "loader"), combinations())
def test_a_round_of_every_family_over_every_loader(
    data: dict[str, Path], tmp_path: Path, family: str, loader: str
) -> None:
    plan = TrainingPlan.from_flat(SMALL | {"model.family": family, "data.path": str(data[loader])})
    result = federate(plan, tmp_path)
    (report,) = result.rounds
    assert report.failures == {}
    assert len(report.sites) == len(result.test) == 2
    assert all(site.images > 0 for site in report.sites.values())
    assert all(0 < site.change_norm < 1e3 for site in report.sites.values())
    assert sum(counts.images for counts in result.test.values()) > 0
