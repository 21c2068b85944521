"""Tables of a sweep: the same study with other families, strategies, partitions, sites, faults and recipes."""

from collections.abc import Sequence

from common.summary.summary import Summary, VariantRecord
from common.system.wording import plural
from simulations.report.formatting import MISSING, interval, number, percent
from simulations.report.tables.cells import RATES, correct_and_rates, gap_in_accuracy, metrics_by_arm
from simulations.report.tables.family_tables import family_tables
from simulations.report.tables.faults_table import faults_table
from simulations.report.tables.recipes_table import PLAN, recipes_tables
from simulations.report.tables.table import Cell, Row, Table, plain_cells
from simulations.study.arms import ARMS, FEDERATED, GAP_ARMS

_STRATEGY_RATES = ("accuracy", "sensitivity", "specificity", "auc")
_GAP_CAPTION = (
    "Small print: 95 % interval. Gap closed: how far federating gets from the hospitals’ own models on all patients "
    "(0 %) to pooled images (100 %), in accuracy."
)


def sweep_tables(summary: Summary) -> list[Table]:
    """Return the tables of a study with variants; none for a study without.

    Every table varies one thing and keeps the rest as in the first variant; variants that differ in several things
    stand in a table of all of them.
    """
    tables = []
    families = _alike(summary.variants, "strategy", "partition", "sites", "faults", "recipe")
    if len(families) > 1 or summary.missing:
        tables += family_tables(families, summary.missing, summary.dataset.classes)
    strategies = _alike(summary.variants, "family", "partition", "sites", "faults", "recipe")
    if len(strategies) > 1:
        tables.append(_strategies(strategies))
    partitions = _alike(summary.variants, "family", "strategy", "faults", "recipe")
    if len(partitions) > 1:
        tables.append(_partitions(partitions))
    faulty = _alike(summary.variants, "family", "partition", "sites", "recipe")
    if len({one.faults for one in faulty}) > 1:
        tables.append(faults_table(faulty))
    else:
        faulty = []
    recipes: dict[str, VariantRecord] = {}
    # A recipe may change family and strategy too.
    for one in _alike(summary.variants, "partition", "sites", "faults"):
        recipes.setdefault(one.recipe, one)
    if len(recipes) > 1:
        tables += recipes_tables(list(recipes.values()))
    else:
        recipes = {}
    shown = {id(variant) for variant in (*families, *strategies, *partitions, *faulty, *recipes.values())}
    if any(id(variant) not in shown for variant in summary.variants):
        tables.append(_all_variants(summary.variants))
    return tables


def variant_label(variant: VariantRecord, variants: Sequence[VariantRecord]) -> str:
    """Return what sets a variant apart from the others it is shown with."""
    words = {
        "family": variant.family,
        "strategy": variant.strategy,
        "partition": variant.partition,
        "sites": plural(variant.sites, "site"),
        "faults": "no faults" if variant.faults == "none" else variant.faults,
        "recipe": variant.recipe or PLAN,
    }
    differing = [words[key] for key in words if len({getattr(one, key) for one in variants}) > 1]
    return ", ".join(differing) or variant.family


def _alike(variants: Sequence[VariantRecord], *keys: str) -> list[VariantRecord]:
    """Return the variants that agree with the first one in the given keys."""
    return [one for one in variants if all(getattr(one, key) == getattr(variants[0], key) for key in keys)]


def _strategies(variants: Sequence[VariantRecord]) -> Table:
    rows = []
    for one in variants:
        federated = one.arms.get(FEDERATED)
        if federated is None:
            rows.append(Row([Cell(one.strategy)], reason="not run: no federated arm"))
            continue
        measured = correct_and_rates(federated, _STRATEGY_RATES)
        rows.append(Row([Cell(one.strategy), *measured, gap_in_accuracy(one.gap_closed)]))
    columns = plain_cells("Strategy", "Correct", *(RATES[name] for name in _STRATEGY_RATES), "Gap closed")
    return Table("strategies", "Strategies of the federation", columns, rows, _GAP_CAPTION)


def _partitions(variants: Sequence[VariantRecord]) -> Table:
    rows = [Row([Cell(one.partition), Cell(number(one.sites)), *_accuracies_and_gap(one)]) for one in variants]
    columns = plain_cells("Partition", "Sites", *_ACCURACIES_AND_GAP)
    return Table("partitions", "Partitions and numbers of sites: accuracy", columns, rows, _GAP_CAPTION)


def _all_variants(variants: Sequence[VariantRecord]) -> Table:
    rows = [
        Row(
            [
                *plain_cells(
                    one.family, one.strategy, one.partition, number(one.sites), one.faults, one.recipe or PLAN
                ),
                *_accuracies_and_gap(one),
            ]
        )
        for one in variants
    ]
    columns = plain_cells("Family", "Strategy", "Partition", "Sites", "Faults", "Recipe", *_ACCURACIES_AND_GAP)
    return Table("variants", "All variants: accuracy", columns, rows, _GAP_CAPTION)


_ACCURACIES_AND_GAP = (*(ARMS[key].short_title for key in GAP_ARMS), "Gap closed")


def _accuracies_and_gap(variant: VariantRecord) -> list[Cell]:
    found = {key: metrics for key, metrics in metrics_by_arm(variant.arms).items() if metrics.total}
    accuracies = [
        Cell(percent(found[key].accuracy), interval("accuracy", found[key])) if key in found else Cell(MISSING)
        for key in GAP_ARMS
    ]
    return [*accuracies, gap_in_accuracy(variant.gap_closed)]
