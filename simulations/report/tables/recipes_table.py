"""What each recipe of a study reached, and how far it is from the study's plan."""

from collections.abc import Sequence

from common.summary.summary import VariantRecord
from simulations.report.tables.cells import RATES, correct_and_rates, difference
from simulations.report.tables.table import Cell, Row, Table, plain_cells
from simulations.study.arms import ARMS, CENTRALIZED, FEDERATED

PLAN = "the plan"
"""What tables call the recipe of the study's plan."""


def compared_arms(arms: Sequence[str]) -> list[str]:
    """Return the arms by which recipes are compared: centralised and federated, or else the first that ran."""
    return [arm for arm in (CENTRALIZED, FEDERATED) if arm in arms] or list(arms)[:1]


def recipes_tables(variants: Sequence[VariantRecord]) -> list[Table]:
    """Return for each compared arm a table with one row per recipe; the first variant is the plan's."""
    return [_of_arm(variants, arm) for arm in compared_arms(list(variants[0].arms))]


def _of_arm(variants: Sequence[VariantRecord], arm: str) -> Table:
    columns = plain_cells("Recipe", "Correct", "More images", RATES["auc"], "More AUC")
    rows = [Row([Cell(one.recipe or PLAN), *_cells(one, arm)]) for one in variants]
    caption = (
        "Small print: 95 % interval over patients. More: than the plan, on the same images; many recipes are compared "
        "here, and the best of them looks better than it is."
    )
    return Table(f"recipes-{arm}", f"Recipes: {ARMS[arm].full_title}", columns, rows, caption)


def _cells(variant: VariantRecord, arm: str) -> list[Cell]:
    metrics = variant.arms[arm]
    correct, auc = correct_and_rates(metrics, ["auc"])
    test = variant.against_plan.get(arm)
    if test is None:
        return [correct, Cell(""), auc, Cell("")]
    return [correct, difference(test.accuracy, metrics.total, 1), auc, difference(test.auc, 1, 3)]
