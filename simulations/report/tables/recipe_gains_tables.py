"""Recipes over several sets of images: what each gained on each set and over sets, and what other sets would choose."""

from collections.abc import Mapping, Sequence

from common.summary.summary import Summary
from simulations.analysis.recipes_over_sets import RecipeGains, gains, leave_one_set_out, recipes_of
from simulations.report.formatting import MISSING, correct_of_total, rate, signed, signed_limits
from simulations.report.tables.cells import difference, metrics_by_arm
from simulations.report.tables.recipes_table import PLAN, compared_arms
from simulations.report.tables.table import Cell, Row, Table, plain_cells
from simulations.study.arms import ARMS

_OVER_SETS = (
    "Small print: 95 % interval, of a set over its patients, of the mean over sets. Many recipes are compared: the "
    "best of them looks better than it is."
)


def recipe_gains_tables(summaries: Mapping[str, Summary]) -> list[Table]:
    """Return the tables of a comparison over sets.

    Parameters
    ----------
    summaries : mapping of str to Summary
        By set; all of the same recipes.
    """
    arms = compared_arms(list(next(iter(summaries.values())).arms))
    recipes = recipes_of(summaries)
    tables = [_gains(summaries, recipes, arm, metric) for arm in arms for metric in ("accuracy", "auc")]
    return [*tables, _left_out(summaries, arms)] if len(summaries) > 1 else tables


def _gains(summaries: Mapping[str, Summary], recipes: Sequence[str], arm: str, metric: str) -> Table:
    images = {name: metrics_by_arm(summary.arms)[arm].total for name, summary in summaries.items()}
    plan = [_reached(summary, arm, metric) for summary in summaries.values()]
    rows = [Row([Cell(PLAN), *plan, Cell("")])]
    for recipe in recipes:
        found = gains(summaries, recipe, arm, metric)
        cells = [_on_set(found, name, images[name], metric) for name in summaries]
        rows.append(Row([Cell(recipe), *cells, _over_sets(found, images, metric)]))
    what = "correct images of the plan, and how many" if metric == "accuracy" else "AUC of the plan, and how much"
    title = f"{ARMS[arm].short_title}: {what} more of each recipe"
    columns = plain_cells("Recipe", *summaries, "Mean")
    return Table(f"recipes-{arm}-{metric}", title, columns, rows, _OVER_SETS)


def _reached(summary: Summary, arm: str, metric: str) -> Cell:
    metrics = metrics_by_arm(summary.arms)[arm]
    return Cell(correct_of_total(metrics) if metric == "accuracy" else rate("auc", metrics.auc))


def _on_set(found: RecipeGains, name: str, images: int, metric: str) -> Cell:
    return difference(found.by_set[name], images, 1) if metric == "accuracy" else difference(found.by_set[name], 1, 3)


def _over_sets(found: RecipeGains, images: Mapping[str, int], metric: str) -> Cell:
    """Return the mean gain; of accuracy in images of a hundred, since sets differ in size."""
    if found.mean is None:
        return Cell(MISSING)
    scale, digits, unit = (100, 1, " of 100") if metric == "accuracy" else (1, 3, "")
    around = found.interval
    note = signed_limits((scale * around[0], scale * around[1]), digits) if around else ""
    return Cell(signed(scale * found.mean, digits) + unit, note)


def _left_out(summaries: Mapping[str, Summary], arms: Sequence[str]) -> Table:
    rows = []
    for one in leave_one_set_out(summaries, arms):
        cells = [Cell(one.name), Cell(one.chosen or PLAN)]
        for arm in arms:
            images = metrics_by_arm(summaries[one.name].arms)[arm].total
            if not one.chosen:
                cells += plain_cells("0", "0")
                continue
            cells += [
                _on_set(gains(summaries, one.chosen, arm, metric), one.name, images, metric)
                for metric in ("accuracy", "auc")
            ]
        rows.append(Row(cells))
    columns = plain_cells("Left out", "Chosen by the others")
    for arm in arms:
        columns += [Cell("more correct", ARMS[arm].short_title), Cell("more AUC", ARMS[arm].short_title)]
    caption = (
        "Which recipe the other sets choose, by their mean gain of AUC, and what it gains on the set that had no vote. "
        "Small print: 95 % interval over patients."
    )
    return Table("recipes-left-out", "Leave one set out", columns, rows, caption)
